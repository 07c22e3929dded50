// The columns of a map as something that can be asked: degrees, channels of a node, and what a search finds.

export class Graph {
  constructor({ nodes, channels, ...rest }) {
    Object.assign(this, rest);
    this.nodes = nodes;
    this.channels = channels;
    this.size = nodes.id.length;
    this.byId = new Map(nodes.id.map((id, place) => [id, place]));
    this.degree = new Uint32Array(this.size);
    for (const end of [channels.a, channels.b]) for (const place of end) this.degree[place]++;
    this.#index();
    this.lower = nodes.alias.map((alias) => alias.toLowerCase());
    this.capacity = channels.sat.reduce((sum, sat) => sum + (sat ?? 0), 0);
  }

  // Channels of each node, one node's after the other's.
  #index() {
    this.begin = new Uint32Array(this.size + 1);
    this.degree.forEach((count, place) => (this.begin[place + 1] = this.begin[place] + count));
    const next = this.begin.slice();
    this.sorted = new Uint32Array(2 * this.channels.a.length);
    for (const end of [this.channels.a, this.channels.b]) end.forEach((place, row) => (this.sorted[next[place]++] = row));
  }

  name(place) {
    return this.nodes.alias[place] || this.nodes.id[place].slice(0, 16);
  }

  nameOf(id) {
    const place = this.byId.get(id);
    return place === undefined ? `${id.slice(0, 16)}…` : this.name(place);
  }

  channelsOf(place) {
    const rows = Array.from(this.sorted.subarray(this.begin[place], this.begin[place + 1]));
    return rows.map((row) => ({
      scid: this.channels.scid[row],
      sat: this.channels.sat[row],
      other: this.channels.a[row] === place ? this.channels.b[row] : this.channels.a[row],
    }));
  }

  channel(scid) {
    const row = this.channels.scid.indexOf(scid);
    if (row < 0) return null;
    return { scid, sat: this.channels.sat[row], a: this.channels.a[row], b: this.channels.b[row] };
  }

  // At most `most`: {place} or {scid}, the best first.
  search(text, most = 20) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    if (/^\d+x[\dx]*$/.test(wanted)) return this.#scids(wanted, most);
    const found = [];
    const isId = /^0[23][0-9a-f]+$/.test(wanted);
    for (let place = 0; place < this.size; place++) {
      const at = this.lower[place].indexOf(wanted);
      if (isId && this.nodes.id[place].startsWith(wanted)) found.push([2, place]);
      else if (at >= 0) found.push([this.lower[place] === wanted ? 2 : at === 0 ? 1 : 0, place]);
    }
    found.sort((one, two) => two[0] - one[0] || this.degree[two[1]] - this.degree[one[1]]);
    return found.slice(0, most).map(([, place]) => ({ place }));
  }

  #scids(wanted, most) {
    const found = [];
    for (const scid of this.channels.scid) {
      if (!scid.startsWith(wanted)) continue;
      if (scid === wanted) found.unshift({ scid });
      else found.push({ scid });
      if (found.length >= 10 * most) break;
    }
    return found.slice(0, most);
  }
}
