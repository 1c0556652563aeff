// The rooms of rooms.py on the real PartyServer: what a client may ask of them is the same, word for word.
import { type Connection, type ConnectionContext, getServerByName, routePartykitRequest, Server, type WSMessage } from "partyserver";

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

class Probe extends Server {
  log: string[] = [];
  instance: string = crypto.randomUUID();
  starts = 0;
  held = 0;
  released = false;
  failing = 0;
  again = 0;
  props: unknown = null;

  async onStart(props?: unknown) {
    this.starts += 1;
    this.props = props ?? null;
    await pause(20);
  }

  getConnectionTags(_connection: Connection, ctx: ConnectionContext) {
    const tags = new URL(ctx.request.url).searchParams.get("tags");
    if (tags === "throw") throw new Error("a secret of the room");
    return tags === null ? [] : tags.split(",");
  }

  async onConnect(connection: Connection, ctx: ConnectionContext) {
    const way = new URL(ctx.request.url).searchParams.get("connect");
    if (way === "throw") throw new Error("a secret of the room");
    if (way === "hello") {
      connection.send("early");
      await pause(50);
      connection.send("late");
    }
    if (way === "joined") this.broadcast(`joined ${connection.id}`);
    if (way === "close") {
      connection.send("early");
      connection.close(4002, "not today");
    }
    if (way === "header") connection.send(String(ctx.request.headers.get("x-probe")));
    if (way === "wait") await this.letGo();
  }

  async letGo() {
    while (!this.released) await pause(5);
  }

  async onMessage(connection: Connection, message: WSMessage) {
    if (typeof message !== "string") {
      connection.send(message);
      return;
    }
    const [word, ...words] = message.split(" ");
    const rest = words.join(" ");
    const ids = (found: Iterable<Connection>) => [...found].map((one) => one.id).sort().join(",");
    if (word === "echo") connection.send(rest);
    else if (word === "all") this.broadcast(rest);
    else if (word === "others") this.broadcast(rest, [connection.id]);
    else if (word === "without") this.broadcast("to the rest", words);
    else if (word === "list") connection.send(ids(rest ? this.getConnections(rest) : this.getConnections()));
    else if (word === "get") connection.send(this.getConnection(rest)?.id ?? "nobody");
    else if (word === "tags") connection.send(connection.tags.join(","));
    else if (word === "uri") connection.send(connection.uri ?? "none");
    else if (word === "name") connection.send(this.name);
    else if (word === "set") connection.send(JSON.stringify(connection.setState(JSON.parse(rest))));
    else if (word === "add") connection.send(JSON.stringify(connection.setState((old: unknown) => ((old as number) ?? 0) + 1)));
    else if (word === "state") connection.send(JSON.stringify(connection.state));
    else if (word === "close") connection.close(words.length ? Number(words[0]) : undefined, words.length ? words.slice(1).join(" ") : undefined);
    else if (word === "try-close") {
      try {
        connection.close(Number(words[0]), words.slice(1).join(" "));
      } catch {
        connection.send("refused");
      }
    } else if (word === "close-all") for (const one of this.getConnections()) one.close(4003, "all");
    else if (word === "many") for (let number = 0; number < 200; number += 1) this.broadcast(`${number}`);
    else if (word === "log") connection.send(this.log.join("; "));
    else if (word === "starts") connection.send(`${this.starts}`);
    else if (word === "props") connection.send(JSON.stringify(this.props));
    else if (word === "reject") throw new Error("a secret of the room");
    else if (word === "hold") {
      this.held += 1;
      await this.letGo();
      connection.send("let go");
    } else if (word === "held") connection.send(`${this.held}`);
    else if (word === "release") {
      this.released = true;
      connection.send("released");
    } else if (word === "instance") connection.send(this.instance);
    else if (word === "close-twice") {
      connection.close(4000, "first");
      connection.close(4001, "second");
    } else if (word === "send-late") {
      connection.close(4000, "bye");
      try {
        connection.send("late");
      } catch {
        this.log.push("refused");
      }
    } else if (word === "fill") {
      try {
        connection.setState("x".repeat(Number(rest)));
        connection.send("kept");
      } catch {
        connection.send("refused");
      }
    } else if (word === "size") connection.send(`${(connection.state as string).length}`);
    else if (word === "grow") {
      (connection.state as number[]).push(2);
      connection.send("grown");
    }
    else if (word === "put") {
      await this.ctx.storage.put(words[0], JSON.parse(words[1]));
      connection.send("put");
    } else if (word === "value") connection.send(JSON.stringify((await this.ctx.storage.get(rest)) ?? null));
    else if (word === "delete") connection.send(JSON.stringify(await this.ctx.storage.delete(rest)));
    else if (word === "sql") {
      this.sql`CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)`;
      this.sql`INSERT INTO notes (text) VALUES (${rest})`;
      connection.send(JSON.stringify(this.sql`SELECT id, text FROM notes ORDER BY id`));
    } else if (word === "alarm") {
      await this.ctx.storage.setAlarm(Date.now() + Number(rest));
      connection.send("set");
    } else if (word === "alarm?") connection.send((await this.ctx.storage.getAlarm()) === null ? "none" : "some");
    else if (word === "alarm-that-fails" || word === "alarm-again") {
      if (word === "alarm-again") this.again = 1;
      else this.failing = 1;
      await this.ctx.storage.setAlarm(Date.now());
    } else if (word === "busy") {
      for (let reads = 0; reads < 2000 && !this.released; reads += 1) await this.ctx.storage.get("nothing");
      connection.send(this.released ? "somebody came in" : "nobody came in");
    } else if (word === "keys") {
      const keys = [...(await this.ctx.storage.list(JSON.parse(rest))).keys()];
      connection.send(keys.filter((key) => key !== "__ps_name").join(",")); // PartyServer's own
    } else if (word === "tables") {
      const found = this.sql<{ name: string }>`SELECT name FROM sqlite_schema WHERE name IN ('notes', 'seen')`;
      connection.send(found.map((row) => row.name).sort().join(","));
    } else if (word === "wipe") {
      await this.ctx.storage.deleteAll();
      connection.send("wiped");
    } else if (word === "move") {
      try {
        await this.ctx.storage.transaction(async (kept) => {
          await kept.put("moved", true);
          if (rest === "throw") throw new Error("a secret of the room");
        });
        connection.send("moved");
      } catch {
        connection.send("undone");
      }
    } else if (word === "elsewhere") {
      const other = await getServerByName(this.env.MEMORY_ROOM as unknown as DurableObjectNamespace<Memory>, words[0]);
      connection.send(await other.called(words.slice(1).join(" ")));
    } else if (word === "bytes") this.broadcast(new Uint8Array([0, 1, 255]));
    else if (word === "no-alarm") {
      await this.ctx.storage.deleteAlarm();
      connection.send("deleted");
    }
  }

  async onAlarm() {
    if (this.failing > 0) {
      this.failing -= 1;
      throw new Error("a secret of the room");
    }
    this.broadcast(`alarm, ${(await this.ctx.storage.getAlarm()) === null ? "no" : "one"} other`);
    if (this.again > 0) {
      this.again -= 1;
      await this.ctx.storage.setAlarm(Date.now() + 10);
    }
  }

  async called(text: string) {
    this.broadcast(`called ${text}`);
    return `${this.name} has ${[...this.getConnections()].length}`;
  }

  async onClose(connection: Connection, code: number, reason: string, wasClean: boolean) {
    this.log.push(`close ${connection.id} ${code} ${reason} ${wasClean}`);
    if (reason === "answer") {
      connection.send("a last word");
      await pause(20);
    }
    if (reason === "throw") throw new Error("a secret of the room");
    if (reason === "replace") connection.close(4000, "mine");
    this.broadcast(`left ${connection.id} ${code} ${reason} ${wasClean} of ${[...this.getConnections()].length}`);
  }

  onError(connection: Connection, _error: unknown) {
    this.log.push(`error ${connection.id}`);
    this.broadcast(`error ${connection.id}`);
  }

  async onRequest(request: Request) {
    const url = new URL(request.url);
    const what = url.searchParams.get("what");
    if (what === "throw") throw new Error("a secret of the room");
    if (what === "status")
      return new Response("made", { status: 201, headers: { "x-room": "yes", "content-type": "text/plain", "access-control-allow-origin": "room" } });
    if (what === "redirect") return new Response(null, { status: 302, headers: { location: "/elsewhere" } });
    if (what === "empty") return new Response(null, { status: 204 });
    if (what === "cookies") {
      const headers = new Headers({ "content-type": "text/plain" });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response("two", { headers });
    }
    if (what === "tell") {
      this.broadcast("by request");
      return new Response("told", { headers: { "content-type": "text/plain" } });
    }
    if (what === "props") return Response.json(this.props);
    if (what === "headers") {
      const named = ["cookie", "authorization", "x-partykit-room", "origin"].map((name) => `${name} ${request.headers.get(name) ?? "-"}`);
      return new Response(named.join("|"), { headers: { "content-type": "text/plain" } });
    }
    const seen = [request.method, this.name, url.pathname, url.search, await request.text(), request.headers.get("x-probe") ?? "-"];
    return new Response(seen.join("|"), { headers: { "content-type": "text/plain" } });
  }
}

export class Memory extends Probe {}

export class Sleeper extends Probe {
  static options = { hibernate: true };
}

export class Bare extends Server {}

export class Plain extends Server {
  onMessage(connection: Connection, message: WSMessage) {
    if (message === "throw") throw new Error("a secret of the room");
    connection.send(message);
  }
}

export class Shaky extends Probe {
  async onStart(props?: unknown) {
    await super.onStart(props);
    if (this.starts === 1) throw new Error("a secret of the room");
  }
}

export class Broken extends Server {
  onStart() {
    throw new Error("a secret of the room");
  }
}

function before(request: Request) {
  const url = new URL(request.url);
  const way = url.searchParams.get("before");
  if (way === "deny") return new Response("no entry", { status: 401, headers: { "x-why": "closed", "content-type": "text/plain" } });
  if (way === "redirect") return new Response(null, { status: 302, headers: { location: "/login" } });
  if (way === "header") {
    const changed = new Request(request);
    changed.headers.set("x-probe", "from the hook");
    return changed;
  }
  if (way === "query") {
    url.search = "?_pk=renamed&connect=hello";
    return new Request(url.toString(), request);
  }
  if (way === "throw") throw new Error("a secret of the hook");
  return undefined;
}

const WAYS: Record<string, object> = {
  parties: {},
  "a/b": { prefix: "a/b" },
  hooked: { prefix: "hooked", onBeforeConnect: before, onBeforeRequest: before, cors: true },
  open: { prefix: "open", cors: true },
  custom: { prefix: "custom", cors: { "Access-Control-Allow-Origin": "https://one.example", "X-Extra": "1" } },
  bare: { prefix: "bare", cors: {} },
  given: { prefix: "given", props: { colour: "blue", number: 7, name: "Zoë" } },
};

export default {
  async fetch(request: Request, env: Record<string, never>) {
    for (const options of Object.values(WAYS)) {
      const response = await routePartykitRequest(request, env, options);
      if (response !== null) return response;
    }
    return new Response("not ours", { status: 404, headers: { "content-type": "text/plain" } });
  },
};
