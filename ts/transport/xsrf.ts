/** What a page of a Jupyter Server shows with its login: behind a Hub the cookie alone is no login for a `fetch`, since a page of another user's server could send that too. */

/** The header for requests to the page's own server; none where it set no such cookie. */
export function xsrfHeader(cookies: string = document.cookie ?? ""): Record<string, string> {
  // Of several the first has the longest path, which is this server's own.
  const token = cookies.match(/(?:^|;\s*)_xsrf=([^;]*)/)?.[1];
  return token ? { "X-XSRFToken": token } : {};
}
