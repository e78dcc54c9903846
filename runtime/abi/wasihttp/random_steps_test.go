package wasihttp

import (
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

// step makes one call, or a few that belong together.
func (p *program) step() {
	steps := []func(p *program){
		(*program).makeThings, (*program).makeThings, (*program).makeThings, (*program).changeFields, (*program).readFields,
		(*program).outgoing, (*program).outgoing, (*program).send, (*program).send, (*program).respond,
		(*program).write, (*program).write, (*program).write, (*program).finish, (*program).finish,
		(*program).future, (*program).future, (*program).incoming, (*program).incoming, (*program).read, (*program).read,
		(*program).trailers, (*program).subscribe, (*program).pollable, (*program).dropOne, (*program).dropOne,
	}
	steps[p.IntN(len(steps))](p)
}

// free returns a thing of one of the kinds that can be given away.
func (p *program) free(kinds ...string) *thing {
	n := p.one(kinds[p.IntN(len(kinds))])
	switch {
	case n == nil || n.children == 0:
		return n
	case p.armed == "order":
		p.armed, p.broken = "", true
		return n
	}
	return nil
}

func (p *program) makeThings() {
	if len(p.things) > 25 {
		return
	}
	if p.one("fields") == nil || p.IntN(4) == 0 {
		p.add("fields", p.types("[constructor]fields"), nil, nil)
	}
	switch f := p.free("fields", "fields-view"); p.IntN(5) {
	case 0, 3, 4:
		if f != nil {
			r := p.types("[constructor]outgoing-request", p.of(f))
			p.gone(f)
			p.add("outgoing-request", r, nil, &sentMessage{})
			at, length := p.text("h")
			require.Zero(p.t, p.types("[method]outgoing-request.set-authority", r, 1, at, length))
		}
	case 1:
		if f != nil {
			r := p.types("[constructor]outgoing-response", p.of(f))
			p.gone(f)
			p.add("outgoing-response", r, nil, &sentMessage{})
		}
	case 2:
		o := p.add("request-options", p.types("[constructor]request-options"), nil, nil)
		limit := []time.Duration{0, 1, time.Minute}[p.IntN(3)]
		name := []string{"connect", "first-byte", "between-bytes"}[p.IntN(3)]
		p.types("[method]request-options.set-"+name+"-timeout", p.of(o), uint64(p.IntN(2)), uint64(limit))
	}
}

// name stores a name of a field.
func (p *program) name() (at, length uint64) {
	return p.text([]string{"x-a", "X-A", "x-b", "content-length", "host", "bad name", ""}[p.IntN(7)])
}

func (p *program) changeFields() {
	f := p.one([]string{"fields", "fields", "fields-view"}[p.IntN(3)])
	if f == nil {
		return
	}
	n, nl := p.name()
	v, vl := p.text([]string{"", "1", "4", "value", "\x00"}[p.IntN(5)])
	switch p.IntN(3) {
	case 0:
		p.types("[method]fields.append", p.of(f), n, nl, v, vl, p.at())
	case 1:
		p.types("[method]fields.delete", p.of(f), n, nl, p.at())
	case 2:
		list := uint64(p.used+7) &^ 7
		m := p.in.View(uint32(list), 8)
		m[0], m[1], m[2], m[3] = byte(v), byte(v>>8), 0, 0
		m[4], m[5], m[6], m[7] = byte(vl), 0, 0, 0
		p.types("[method]fields.set", p.of(f), n, nl, list, uint64(p.IntN(2)), p.at())
	}
}

func (p *program) readFields() {
	f := p.one([]string{"fields", "fields-view"}[p.IntN(2)])
	if f == nil {
		return
	}
	n, nl := p.name()
	switch p.IntN(4) {
	case 0:
		p.types("[method]fields.get", p.of(f), n, nl, p.at())
	case 1:
		p.types("[method]fields.has", p.of(f), n, nl)
	case 2:
		p.types("[method]fields.entries", p.of(f), p.at())
	case 3:
		if len(p.things) < 25 {
			p.add("fields", p.types("[method]fields.clone", p.of(f)), nil, nil)
		}
	}
}

// once reads a result<own<T>> of a function that returns T once.
func (p *program) once(from *thing, kind string, child bool) {
	require.Equal(p.t, from.had, p.u8(result) == 1)
	if from.had {
		return
	}
	from.had = true
	var parent *thing
	if child {
		parent = from
	}
	p.add(kind, uint64(p.u32(result+4)), parent, from.message)
}

func (p *program) outgoing() {
	n := p.one([]string{"outgoing-request", "outgoing-response"}[p.IntN(2)])
	if n == nil {
		return
	}
	switch p.IntN(3) {
	case 0, 1:
		p.types("[method]"+n.kind+".body", p.of(n), p.at())
		n.message.hasBody = true
		p.once(n, "outgoing-body", false)
	case 2:
		p.add("fields-view", p.types("[method]"+n.kind+".headers", p.of(n)), n, nil)
	}
}

func (p *program) send() {
	r, o := p.free("outgoing-request"), p.one("request-options")
	if r == nil {
		return
	}
	params := []uint64{p.of(r), 0, 0, p.at()}
	if o != nil && p.IntN(2) == 0 {
		params[1], params[2] = 1, p.of(o)
		r.message.limited = true
		p.gone(o)
	}
	before, m := len(p.to.calls), r.message
	p.call("http/outgoing-handler#handle", params...)
	p.gone(r)
	if m.finished = m.finished || !m.hasBody; len(p.to.calls) > before {
		m.call = p.to.calls[before]
		p.sent = append(p.sent, m)
	}
	if _, failed := p.fails(); failed {
		m.broken = true
		return
	}
	p.add("future-incoming-response", uint64(p.u32(result+8)), nil, m)
}

func (p *program) respond() {
	o := p.one("response-outparam")
	if o == nil {
		return
	}
	switch p.IntN(8) {
	case 0:
		p.types("[static]response-outparam.set", p.of(o), 1, uint64(p.IntN(30)), 0, 0, 0, 0, 0, 0)
		p.gone(o)
	case 1:
		if f := p.free("fields", "fields-view"); f != nil {
			p.types("[method]response-outparam.send-informational", p.of(o), uint64(100+p.IntN(150)), p.of(f), p.at())
			p.gone(f)
		}
	default:
		if r := p.free("outgoing-response"); r != nil {
			p.types("[static]response-outparam.set", p.of(o), 0, p.of(r), 0, 0, 0, 0, 0, 0)
			p.gone(r)
			p.gone(o)
		}
	}
}

func (p *program) write() {
	b := p.one("outgoing-body")
	if b != nil && (!b.had || p.IntN(9) == 0) {
		p.types("[method]outgoing-body.write", p.of(b), p.at())
		p.once(b, "output-stream", true)
		return
	}
	s := p.one("output-stream")
	if s == nil {
		return
	}
	p.streams("[method]output-stream.check-write", p.of(s), p.at())
	if p.u8(result) == 1 {
		p.streamError(8)
		s.message.broken = true
		return
	}
	if p.u32(result+8) == 0 {
		return
	}
	text := strings.Repeat("y", p.IntN(5))
	at, length := p.text(text)
	in := p.one("input-stream")
	switch i := p.IntN(4); {
	case i == 0 && in != nil:
		p.streams("[method]output-stream.splice", p.of(s), p.of(in), 3, p.at())
		s.message.spliced = true
		if p.u8(result) == 1 && p.streamError(8) != "closed" {
			s.message.broken = true
		}
		return
	case i == 1:
		p.streams("[method]output-stream.blocking-write-and-flush", p.of(s), at, length, p.at())
	default:
		p.streams("[method]output-stream.write", p.of(s), at, length, p.at())
	}
	s.message.written += text
	if p.streamError(payloadAt) != "" {
		s.message.broken = true
	}
}

func (p *program) finish() {
	b := p.free("outgoing-body")
	if b == nil {
		return
	}
	params := []uint64{p.of(b), 0, 0, p.at()}
	switch f := p.free("fields", "fields-view"); {
	case b.message.call != nil && p.IntN(20) == 0: // trailers that do not exist: illegal, and too rare otherwise
		params[1], params[2], p.broken = 1, canonical.MaxHandles+1, true
	case f != nil && (p.armed != "" || p.IntN(2) == 0):
		params[1], params[2] = 1, p.of(f)
		p.gone(f)
	}
	p.types("[static]outgoing-body.finish", params...)
	p.gone(b)
	if b.message.finished = true; p.u8(result) == 1 {
		b.message.broken = true
	}
}

func (p *program) dropOne() {
	if p.armed == "" && p.IntN(2) == 0 || len(p.things) == 0 {
		return
	}
	n := p.things[p.IntN(len(p.things))]
	if p.free(n.kind) != nil && slices.Contains(p.things, n) && (n.children == 0 || p.broken) {
		if p.broken {
			n = p.things[slices.IndexFunc(p.things, func(o *thing) bool { return o.children > 0 && o.kind == n.kind })]
		}
		p.drop(n)
	}
}
