package wasihttp

func (p *program) future() {
	n := p.one("future-incoming-response")
	if n == nil {
		return
	}
	p.types("[method]future-incoming-response.get", p.of(n), p.at())
	switch {
	case p.u8(result) == 0 || p.u8(result+8) == 1:
	default:
		if n.had = true; p.u8(result+16) == 0 {
			p.add("incoming-response", uint64(p.u32(result+24)), nil, n.message)
		}
	}
}

func (p *program) incoming() {
	n := p.one([]string{"incoming-request", "incoming-response"}[p.IntN(2)])
	if n == nil {
		return
	}
	switch p.IntN(3) {
	case 0:
		p.add("fields-view", p.types("[method]"+n.kind+".headers", p.of(n)), n, nil)
	default:
		p.types("[method]"+n.kind+".consume", p.of(n), p.at())
		p.once(n, "incoming-body", false)
	}
}

func (p *program) read() {
	b := p.one("incoming-body")
	if b != nil && p.IntN(2) == 0 {
		p.types("[method]incoming-body.stream", p.of(b), p.at())
		p.once(b, "input-stream", true)
		return
	}
	s := p.one("input-stream")
	if s == nil {
		return
	}
	switch name := []string{"read", "blocking-read", "skip", "blocking-skip"}[p.IntN(4)]; name {
	case "read", "blocking-read":
		p.streams("[method]input-stream."+name, p.of(s), uint64(p.IntN(20)), p.at())
		p.streamError(payloadAt)
	default:
		p.streams("[method]input-stream."+name, p.of(s), uint64(p.IntN(20)), p.at())
		p.streamError(8)
	}
}

func (p *program) trailers() {
	b := p.free("incoming-body")
	if b != nil && p.IntN(2) == 0 {
		p.add("future-trailers", p.types("[static]incoming-body.finish", p.of(b)), nil, b.message)
		p.gone(b)
		return
	}
	if p.broken {
		p.types("[static]incoming-body.finish", p.of(b))
	}
	n := p.one("future-trailers")
	if n == nil {
		return
	}
	p.types("[method]future-trailers.get", p.of(n), p.at())
	if p.u8(result) == 1 && p.u8(result+8) == 0 && p.u8(result+16) == 0 && p.u8(result+24) == 1 {
		p.add("fields-view", uint64(p.u32(result+28)), nil, nil)
	}
}

func (p *program) subscribe() {
	kind := []string{"future-incoming-response", "future-trailers", "input-stream", "output-stream"}[p.IntN(4)]
	n := p.one(kind)
	switch {
	case n == nil || len(p.things) > 25:
	case kind == "input-stream" || kind == "output-stream":
		p.add("pollable", p.streams("[method]"+kind+".subscribe", p.of(n)), n, nil)
	default:
		p.add("pollable", p.types("[method]"+kind+".subscribe", p.of(n)), n, nil)
	}
}

func (p *program) pollable() {
	n := p.one("pollable")
	if n == nil {
		return
	}
	if p.call("io/poll#[method]pollable.ready", p.of(n)) == 1 {
		p.call("io/poll#[method]pollable.block", p.of(n))
	}
}
