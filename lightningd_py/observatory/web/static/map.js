// The map, drawn by sigma. Edges are those of the chosen node alone: 50,000 lines say nothing to an eye.

const MOST_EDGES = 2000;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

export const canDraw = () => Boolean(globalThis.Sigma && globalThis.graphology);

export class MapView {
  constructor(container, choose) {
    this.container = container;
    this.choose = choose;
    this.chosen = null;
    this.graph = null;
    this.#readColours();
    dark.addEventListener("change", () => {
      this.#readColours();
      this.#restyle();
    });
    container.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.sigma?.resize().refresh()).observe(container);
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(
      ["leaf", "mid", "hub", "glow", "ink", "card", "accent", "edge", "line", "map"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  #settings() {
    return {
      allowInvalidContainer: true,
      labelColor: { color: this.colours.ink },
      labelFont: "system-ui, sans-serif",
      labelSize: 12,
      labelDensity: 0.5,
      labelGridCellSize: 120,
      labelRenderedSizeThreshold: 5,
      defaultEdgeColor: this.colours.accent,
      zIndex: true,
      minCameraRatio: 0.01,
      maxCameraRatio: 3,
      hideEdgesOnMove: false,
      stagePadding: 24,
      defaultDrawNodeLabel: (context, data, settings) => this.#label(context, data, settings),
      defaultDrawNodeHover: (context, data, settings) => this.#hover(context, data, settings),
    };
  }

  // A name that can be read above a crowd of nodes.
  #label(context, data, settings) {
    if (!data.label || data.highlighted) return;
    context.font = `500 ${settings.labelSize}px ${settings.labelFont}`;
    context.lineJoin = "round";
    context.lineWidth = 3.5;
    context.strokeStyle = this.colours.map;
    context.fillStyle = this.colours.ink;
    for (const draw of ["strokeText", "fillText"]) context[draw](data.label, data.x + data.size + 4, data.y + settings.labelSize / 3);
  }

  // A label on a ground of the page's own colours; a stranger's name is drawn as text.
  #hover(context, data, settings) {
    const name = data.label || "";
    context.font = `600 ${settings.labelSize + 1}px ${settings.labelFont}`;
    const wide = context.measureText(name).width + 14;
    context.beginPath();
    context.arc(data.x, data.y, data.size + 3, 0, 2 * Math.PI);
    context.strokeStyle = this.colours.glow;
    context.lineWidth = 2;
    context.stroke();
    if (!name) return;
    const left = data.x + data.size + 6;
    context.fillStyle = this.colours.card;
    context.strokeStyle = this.colours.line;
    context.lineWidth = 1;
    context.beginPath();
    context.roundRect(left, data.y - 12, wide, 24, 6);
    context.fill();
    context.stroke();
    context.fillStyle = this.colours.ink;
    context.fillText(name, left + 7, data.y + 5);
  }

  show(graph) {
    const before = this.graph?.nodes.id[this.chosen];
    this.graph = graph;
    const drawn = new globalThis.graphology.Graph({ multi: true, type: "undirected", allowSelfLoops: true });
    const places = Array.from({ length: graph.size }, (_, place) => place).sort((one, two) => graph.degree[one] - graph.degree[two]);
    for (const place of places) drawn.addNode(place, this.#node(place));
    this.drawn = drawn;
    if (this.sigma) this.sigma.setGraph(drawn);
    else this.#begin();
    this.chosen = null;
    const again = before === undefined ? undefined : graph.byId.get(before);
    if (again !== undefined) this.mark(again, false);
    this.container.dataset.nodes = graph.size;
  }

  #node(place) {
    const { nodes, degree } = this.graph;
    return { x: nodes.x[place], y: -nodes.y[place], label: nodes.alias[place], ...this.#look(degree[place]) };
  }

  #look(degree) {
    const color = degree >= 60 ? this.colours.hub : degree >= 8 ? this.colours.mid : this.colours.leaf;
    const scale = Math.min(1.6, Math.max(0.6, this.container.clientWidth / 1000));
    return { size: scale * Math.min(9, 0.9 + 0.3 * Math.sqrt(degree)), color, zIndex: degree >= 60 ? 1 : 0 };
  }

  #begin() {
    this.sigma = new globalThis.Sigma(this.drawn, this.container, this.#settings());
    this.sigma.on("clickNode", ({ node }) => this.choose(Number(node)));
    this.sigma.on("clickStage", () => this.choose(null));
    requestAnimationFrame(() => performance.mark("map"));
  }

  #restyle() {
    if (!this.sigma) return;
    for (const [name, value] of Object.entries(this.#settings())) this.sigma.setSetting(name, value);
    this.drawn.updateEachNodeAttributes((place, attributes) => ({ ...attributes, ...this.#look(this.graph.degree[place]) }));
    if (this.chosen !== null) this.mark(this.chosen, false);
  }

  // Shows the edges of this node, or of none.
  mark(place, moves = true) {
    if (!this.drawn) return;
    this.drawn.clearEdges();
    if (this.chosen !== null) this.#unmark();
    this.chosen = place;
    this.near = [];
    if (place !== null) this.#edges(place);
    this.container.dataset.edges = this.drawn.size;
    if (place !== null && moves) this.#go(place);
  }

  #unmark() {
    for (const each of [this.chosen, ...this.near]) {
      this.drawn.mergeNodeAttributes(each, { highlighted: false, forceLabel: false, ...this.#look(this.graph.degree[each]) });
    }
  }

  #edges(place) {
    const channels = this.graph.channelsOf(place).sort((one, two) => (two.sat ?? 0) - (one.sat ?? 0)).slice(0, MOST_EDGES);
    const crowd = channels.length > 60;
    for (const { scid, sat, other } of channels) {
      this.drawn.addEdgeWithKey(scid, place, other, { size: Math.max(0.6, Math.log10((sat ?? 1e5) + 1) - 5), color: crowd ? this.colours.edge : this.colours.accent });
      this.near.push(other);
    }
    for (const { other } of channels.slice(0, this.container.clientWidth < 600 ? 2 : 5)) this.drawn.setNodeAttribute(other, "forceLabel", true);
    for (const other of this.near) this.drawn.mergeNodeAttributes(other, { zIndex: 2 });
    this.drawn.mergeNodeAttributes(place, { highlighted: true, color: this.colours.glow, zIndex: 3 });
  }

  #go(place) {
    const spot = this.sigma.getNodeDisplayData(place);
    if (!spot) return;
    const camera = this.sigma.getCamera();
    const to = { x: spot.x, y: spot.y, ratio: Math.min(camera.ratio, 0.7) };
    if (still.matches) camera.setState(to);
    else camera.animate(to, { duration: 400 });
  }

  #key(event) {
    if (!this.sigma || event.ctrlKey || event.metaKey || event.altKey) return;
    const camera = this.sigma.getCamera();
    const step = 0.1 * camera.ratio;
    const to = {
      ArrowLeft: { x: camera.x - step }, ArrowRight: { x: camera.x + step }, ArrowUp: { y: camera.y + step },
      ArrowDown: { y: camera.y - step }, "+": { ratio: camera.ratio / 1.5 }, "=": { ratio: camera.ratio / 1.5 },
      "-": { ratio: camera.ratio * 1.5 }, 0: { x: 0.5, y: 0.5, ratio: 1, angle: 0 },
    }[event.key];
    if (event.key === "Escape") this.choose(null);
    else if (to) camera.setState({ ...camera.getState(), ...to });
    else return;
    event.preventDefault();
  }
}
