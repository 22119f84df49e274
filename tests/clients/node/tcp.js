// What the tests have at both ends of a proxy: a server that they hold in their hands, and a client that can be asked what
// came, with a limit to every wait.

import net from "node:net";
import { once } from "node:events";

const LONGEST_WAIT = 10_000;

/** A connection: what came is kept until it is asked for. */
export class Peer {
  #received = Buffer.alloc(0);
  #chunks = [];
  #ended = null;
  #wake = () => {};

  constructor(socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#chunks.push(chunk.length);
      this.#wake();
    });
    socket.on("end", () => this.#end("FIN"));
    socket.on("error", (error) => this.#end(error.code));
    socket.on("close", () => this.#end("closed"));
  }

  #end(how) {
    this.#ended ??= how;
    this.#wake();
  }

  async #until(done) {
    const give_up = Date.now() + LONGEST_WAIT;
    while (!done()) {
      const left = give_up - Date.now();
      if (left <= 0) throw new Error(`waited ${LONGEST_WAIT} ms; there is ${this.#received.length} B, ${this.#ended}`);
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  send(text) {
    this.socket.write(text);
    return this;
  }

  /** The next so many bytes, or fewer if that was all. */
  async receive(count) {
    await this.#until(() => this.#received.length >= count || this.#ended);
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken.toString("latin1");
  }

  /** How it ended: `FIN`, or the code of an error such as `ECONNRESET`. */
  async ending() {
    await this.#until(() => this.#ended);
    return this.#ended;
  }

  /** Whether nothing comes, nor an end, for so many milliseconds. */
  async isSilent(milliseconds) {
    const before = this.#received.length;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return this.#received.length === before && !this.#ended;
  }

  /** How many reads it took to receive all that came until now. */
  get reads() {
    return this.#chunks.length;
  }

  close() {
    this.socket.destroy();
  }
}

/** A server whose side of each connection the test holds. */
export class Upstream {
  #waiting = [];
  #peers = [];
  #wake = () => {};

  static async start() {
    const upstream = new Upstream();
    upstream.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const peer = new Peer(socket);
      upstream.#peers.push(peer);
      upstream.#waiting.push(peer);
      upstream.#wake();
    });
    upstream.server.listen(0, "127.0.0.1");
    await once(upstream.server, "listening");
    upstream.address = `127.0.0.1:${upstream.server.address().port}`;
    return upstream;
  }

  /** Its side of the next connection. */
  async accept() {
    if (this.#waiting.length === 0) {
      await within(new Promise((resolve) => (this.#wake = resolve)), "a connection");
    }
    return this.#waiting.shift();
  }

  stop() {
    this.#peers.forEach((peer) => peer.close());
    this.server.close();
  }
}

/** Connects, or throws the error that came in place of a connection. */
export async function connect({ host, port }) {
  const socket = net.connect({ host, port, allowHalfOpen: true });
  await within(once(socket, "connect"), `a connection to ${host}:${port}`);
  return new Peer(socket);
}

/** How many milliseconds something takes. */
export async function timed(work) {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in ${LONGEST_WAIT} ms`)), LONGEST_WAIT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
