/**
 * The sockets of an LDK PeerManager, over node:net.
 *
 * lightningdevkit-node-net has the same duty, but its 0.1.0 never clears the flag that says "the socket is full", so
 * a transfer larger than the kernel's buffers stops for ever. The rules kept here are those of LDK's SocketDescriptor:
 *  - a full socket takes nothing (send_data answers 0) until it drains, and then write_buffer_space_avail is called;
 *  - nothing is read while a send is incomplete, or after read_event answered true, until LDK says resume_read;
 *  - send_data and disconnect_socket run inside LDK's locks, so they never call back into the PeerManager.
 */
import net from "node:net";

/** Longest piece given to one read_event: LDK asks for about 4 KiB, to be fair among peers. */
const READ_SIZE = 4096;

/** One TCP connection as LDK sees it: what comes in is fed to the PeerManager, what it sends is written. */
class Connection {
  constructor(ldk, manager, socket, index) {
    this.manager = manager;
    this.socket = socket;
    this.full = false;
    this.paused = false;
    this.closed = false;
    this.descriptor = ldk.SocketDescriptor.new_impl({
      send_data: (data, resumeRead) => this.send(data, resumeRead),
      disconnect_socket: () => this.close(),
      eq: (other) => other.hash() === index,
      hash: () => index,
    });
  }

  /** From now on bytes flow; called once LDK knows the descriptor. */
  start() {
    this.socket.setNoDelay(true);
    this.socket.on("readable", () => this.read());
    this.socket.on("drain", () => this.drained());
    this.read();
  }

  send(data, resumeRead) {
    if (resumeRead && this.paused) {
      this.paused = false;
      setImmediate(() => this.read()); // not from inside LDK
    }
    if (this.closed || data.length === 0) return 0;
    if (this.full) {
      this.paused = true;
      return 0;
    }
    this.full = !this.socket.write(data);
    return data.length;
  }

  read() {
    while (!this.paused && !this.closed) {
      const data = this.socket.read(Math.min(READ_SIZE, this.socket.readableLength || READ_SIZE));
      if (data === null) return;
      const result = this.manager.read_event(this.descriptor, data);
      if (!result.is_ok()) return this.close();
      // Before process_events, because its send_data may already say resume_read.
      if (result.res) this.paused = true;
      this.manager.process_events();
    }
  }

  drained() {
    if (this.closed) return;
    this.full = false;
    if (!this.manager.write_buffer_space_avail(this.descriptor).is_ok()) this.close();
  }

  /** Closes after what is written, so that LDK's last error or warning reaches the peer. */
  close() {
    this.closed = true;
    this.socket.destroySoon();
  }

  /** The socket is gone. LDK ignores the call if it closed the connection itself. */
  gone() {
    this.closed = true;
    this.manager.socket_disconnected(this.descriptor);
  }
}

/** Listens and dials for one PeerManager. */
export class Sockets {
  constructor(ldk, manager) {
    this.ldk = ldk;
    this.manager = manager;
    this.connections = new Set(); // keeps the descriptors from being collected while the WebAssembly side has them
    this.count = 0n;
    this.server = null;
  }

  /** Listens on 127.0.0.1; port 0 lets the system choose. Answers the port. */
  async listen(port) {
    this.server = net.createServer({ pauseOnConnect: false }, (socket) => {
      const connection = this.own(socket);
      const result = this.manager.new_inbound_connection(connection.descriptor, this.noAddress());
      if (result.is_ok()) connection.start();
      else connection.close();
    });
    await new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(port, "127.0.0.1", resolve);
    });
    return this.server.address().port;
  }

  /** Dials; ready when TCP is up and act one is written. Noise and INIT follow. Throws the system's error. */
  async connect(host, port, nodeId) {
    const socket = net.connect({ host, port });
    await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", resolve);
    });
    const connection = this.own(socket);
    const result = this.manager.new_outbound_connection(nodeId, connection.descriptor, this.noAddress());
    if (!result.is_ok()) {
      connection.close();
      throw new Error("LDK refuses to dial this node now");
    }
    connection.start();
    connection.send(result.res, false);
  }

  own(socket) {
    const connection = new Connection(this.ldk, this.manager, socket, this.count++);
    this.connections.add(connection);
    socket.on("error", () => {}); // "close" always follows
    socket.on("close", () => {
      this.connections.delete(connection);
      connection.gone();
    });
    return connection;
  }

  noAddress() {
    return this.ldk.Option_SocketAddressZ.constructor_none();
  }

  close() {
    this.server?.close();
    this.manager.disconnect_all_peers();
  }
}
