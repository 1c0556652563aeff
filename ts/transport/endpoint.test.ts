import { beforeEach, describe, expect, it } from "vitest";
import { endpointsOf, httpRoot, thisPage, whyRelayed } from "./endpoint.ts";

const lab = { href: "http://localhost:8888/user/ana/lab/tree/x.ipynb", baseUrl: "/user/ana/" };
const server = { kind: "server", host_id: "h", path: "partywidgets/" } as const;

describe("the root of an endpoint", () => {
  it("of the Jupyter Server stands below its base URL on the page's own origin", () => {
    expect(httpRoot(server, lab)).toBe("http://localhost:8888/user/ana/partywidgets/");
    expect(httpRoot({ ...server, path: "/elsewhere/partywidgets/" }, lab)).toBe("http://localhost:8888/user/ana/partywidgets/");
  });

  it("of the Jupyter Server does not exist outside Jupyter", () => {
    expect(httpRoot(server, { ...lab, baseUrl: null })).toBeNull();
  });

  it.each([
    ["http://localhost:8888/lab", true],
    ["http://127.0.0.1:8888/lab", true],
    ["http://[::1]:8888/lab", true],
    ["https://localhost:8888/lab", false],
    ["http://jupyter.example/lab", false],
    ["http://localhost.example/lab", false],
    ["vscode-webview://abc/index.html", false],
  ])("of a kernel's loopback host, on the page %s: %s", (href, reachable) => {
    const root = httpRoot({ kind: "loopback", host_id: "h", url: "http://127.0.0.1:9999" }, { href, baseUrl: "/" });
    expect(root).toBe(reachable ? "http://127.0.0.1:9999/" : null);
  });

  it("of a remote host is its URL, except plain http from an https page", () => {
    expect(httpRoot({ kind: "remote", host_id: "h", url: "https://ops.example/pw" }, lab)).toBe("https://ops.example/pw/");
    expect(
      httpRoot({ kind: "remote", host_id: "h", url: "http://ops.example" }, { href: "https://hub.example/lab", baseUrl: "/" }),
    ).toBeNull();
    expect(httpRoot({ kind: "remote", host_id: "h", url: "javascript:alert(1)" }, lab)).toBeNull();
  });

  it("of the comm does not exist", () => {
    expect(httpRoot({ kind: "comm", host_id: "h" }, lab)).toBeNull();
  });
});

describe("this page", () => {
  beforeEach(() => {
    document.body.innerHTML = "";
    delete document.body.dataset.baseUrl;
  });

  function config(text: string): void {
    const node = document.createElement("script");
    node.id = "jupyter-config-data";
    node.type = "application/json";
    node.textContent = text;
    document.body.append(node);
  }

  it.each([
    ['{"baseUrl": "/"}', "/"],
    ['{"baseUrl": "/user/ana/"}', "/user/ana/"],
    ['{"baseUrl": "/user/ana"}', "/user/ana/"],
    ['{"baseUrl": "https://hub.example/user/ana/"}', "/user/ana/"],
    ["{}", null],
    ["{broken", null],
  ])("with the config %s has the base URL %s", (text, base) => {
    config(text);
    expect(thisPage().baseUrl).toBe(base);
  });

  it("of nbclassic has its base URL on the body", () => {
    document.body.dataset.baseUrl = "/nb/";
    expect(thisPage().baseUrl).toBe("/nb/");
  });

  it("without Jupyter has none", () => {
    expect(thisPage().baseUrl).toBeNull();
  });
});

describe("_endpoints", () => {
  it.each([[null], [undefined], ["x"], [{}]])("of %j are none", (value) => expect(endpointsOf(value)).toEqual([]));
  it("keep what has a kind", () => expect(endpointsOf([null, 1, {}, server])).toEqual([server]));
});

describe("why the kernel relays", () => {
  const comm = { kind: "comm", host_id: "h" } as const;
  const remote = { kind: "remote", host_id: "h", url: "http://ops.example/" } as const;

  it("names the page's origin, which the host's config may not have", () => {
    expect(whyRelayed([remote, comm], lab)).toBe(
      "http://ops.example/ gave this page no answer: its config may have to name http://localhost:8888 under auth.origins",
    );
  });

  it("names TLS where the browser goes nowhere else from this page", () => {
    expect(whyRelayed([remote, comm], { href: "https://hub.example/lab", baseUrl: "/" })).toBe(
      "A page on https may not go straight to http://ops.example/: serve that host with TLS",
    );
  });

  it("is nothing where only the kernel could", () => {
    expect(whyRelayed([comm], lab)).toBe("");
    expect(whyRelayed([server, comm], lab)).toBe("");
  });
});
