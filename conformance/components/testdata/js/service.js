// The guest of the comparison, in JavaScript: a listener of fetch events.

addEventListener('fetch', (event) => event.respondWith(handle(event.request)));

const plain = { 'content-type': 'text/plain' };

async function handle(request) {
  const url = new URL(request.url);
  const [what, code] = url.pathname.split('/').slice(2);
  switch (what) {
    case 'echo':
      return new Response(request.body ?? '', { status: 201, headers: plain });
    case 'status': {
      const empty = code === '204' || code === '304';
      return new Response(empty ? null : `status ${code}\n`, { status: Number(code), headers: plain });
    }
    case 'request':
      return new Response(`${request.method} ${url.pathname}${url.search} ${request.headers.get('x-test') ?? ''}\n`, { headers: plain });
    case 'fields': {
      const response = new Response('fields\n', { headers: plain });
      response.headers.append('x-a', '1');
      response.headers.append('x-a', '2');
      response.headers.append('x-b', 'a, b');
      return response;
    }
    case 'large':
      return new Response('0123456789abcdef'.repeat(64 * 1024), { headers: plain });
    case 'nothing':
      return new Response('', { headers: plain }); // jco's server ends without a body
    default:
      return new Response('404 page not found\n', { status: 404, headers: plain });
  }
}
