// Files that were bundled with the script, served as wrangler's static assets.

const READABLE = { GET: true, HEAD: true };

// Assets serves files, by their paths: {text, or data in base64, type, etag}.
export class Assets {
  #files;
  #notFound;

  // notFound is "none", "404-page" or "single-page-application".
  constructor({ files, notFound }) {
    this.#files = Object.fromEntries(Object.entries(files).map(([path, { text = '', data, type, etag }]) =>
      [path, { body: data === undefined ? text : Uint8Array.fromBase64(data), type, etag }]));
    this.#notFound = notFound || 'none';
  }

  // fetch is what the binding of the assets offers.
  async fetch(input, init) {
    const request = new Request(input, init);
    return this.find(request) ?? this.#missing(request);
  }

  // find returns the response for a path that exists, or undefined.
  find(request) {
    if (!READABLE[request.method]) return undefined;
    const url = new URL(request.url);
    let path;
    try {
      path = decodeURIComponent(url.pathname);
    } catch {
      return undefined;
    }
    const { file, canonical } = this.#resolve(path);
    if (file === undefined) return undefined;
    if (canonical !== path) return redirect(canonical, url.search);
    return respond(request, file, 200);
  }

  // resolve returns the file for a path, and the path that it is served under: pages have no suffix, indexes a final slash.
  #resolve(path) {
    const file = (name) => (Object.hasOwn(this.#files, name) ? this.#files[name] : undefined);
    if (path.endsWith('/')) {
      if (file(`${path}index.html`)) return { file: file(`${path}index.html`), canonical: path };
      const page = `${path.slice(0, -1)}.html`;
      return { file: file(page), canonical: path.slice(0, -1) };
    }
    if (path.endsWith('/index.html')) return { file: file(path), canonical: path.slice(0, -'index.html'.length) };
    if (path.endsWith('.html')) return { file: file(path), canonical: path.slice(0, -'.html'.length) };
    if (file(path)) return { file: file(path), canonical: path };
    if (file(`${path}.html`)) return { file: file(`${path}.html`), canonical: path };
    return { file: file(`${path}/index.html`), canonical: `${path}/` };
  }

  #missing(request) {
    if (!READABLE[request.method]) return new Response('method not allowed\n', { status: 405, headers: { allow: 'GET, HEAD' } });
    const [name, status] = this.#notFound === 'single-page-application' ? ['/index.html', 200] : ['/404.html', 404];
    if (this.#notFound !== 'none' && this.#files[name]) return respond(request, this.#files[name], status);
    return new Response('not found\n', { status: 404 });
  }
}

// redirect never leaves the host: a path that begins with two slashes would.
function redirect(path, search) {
  const location = encodeURI(`/${path.replace(/^\/+/, '')}`).replace(/[?#]/g, encodeURIComponent) + search;
  return new Response(null, { status: 307, headers: { location } });
}

function respond(request, { body, type, etag }, status) {
  const headers = { 'content-type': type, etag, 'cache-control': 'public, max-age=0, must-revalidate' };
  const known = request.headers.get('if-none-match');
  if (status === 200 && known !== null && (known === '*' || known.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag))) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}
