package wasihttp3

import (
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// request is the resource of a request: the client's, or one that the guest makes.
type request struct {
	method    string
	target    optional // path with query
	scheme    optional
	authority optional
	fields    *fields
	options   *options // nil for none
	body      body
	sent      *sent // nil for the client's
}

// optional is a text that may be missing.
type optional struct {
	text string
	some bool
}

func some(text string) optional { return optional{text, true} }

// Drop implements canonical.Resource.
func (r *request) Drop() {
	r.fields.Drop()
	r.body.drop()
	if r.sent != nil {
		r.sent.set(&failure{code: httptypes.InternalError})
	}
}

// response is the resource of a response: an answer, or one that the guest makes.
type response struct {
	status int
	fields *fields
	body   body
	sent   *sent // nil for an answer
}

// Drop implements canonical.Resource.
func (r *response) Drop() {
	r.fields.Drop()
	r.body.drop()
	if r.sent != nil {
		r.sent.set(&failure{code: httptypes.InternalError})
	}
}

// putOptional stores a text. Clients can send what is not UTF-8.
func putOptional(s *canonical.State, at uint64, o optional) {
	m := s.Area(at, 12, 4)
	clear(m)
	if o.some {
		m[0] = 1
		s.PutString(m, 4, strings.ToValidUTF8(o.text, "\ufffd"))
	}
}

// set sets a text of the request, which counts like a field. It returns a result without payloads.
func (r *request) set(to *optional, text optional) uint64 {
	if !r.fields.list.count(len(text.text) - len(to.text)) {
		return 1
	}
	*to = text
	return 0
}

// setOptional sets a text if it is valid. It returns a result without payloads.
func (r *request) setOptional(s *canonical.State, to *optional, p []uint64, valid func(string) bool) uint64 {
	if canonical.Case(p[0], 2) == 0 {
		return r.set(to, optional{})
	}
	t, ok := text(s, p[1], p[2])
	if !ok || !valid(t) {
		return 1
	}
	return r.set(to, some(t))
}

func requestOf(s *canonical.State, handle uint64) *request {
	return canonical.Get[*request](&s.Handles, handle)
}

// requestFunctions returns the functions of the resource request.
func requestFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		canonical.Func("[static]request.new", 0, newRequest, i32, i32, i32, i32, i32, i32, i32),
		canonical.Func("[method]request.get-method", 0, func(s *canonical.State, p []uint64) {
			m := s.Area(p[1], 12, 4)
			clear(m)
			httptypes.PutMethod(s, m, 0, requestOf(s, p[0]).method)
		}, i32, i32),
		canonical.Func("[method]request.set-method", i32, func(s *canonical.State, p []uint64) {
			r := requestOf(s, p[0])
			t, ok := httptypes.Method(s, p[1], p[2], p[3])
			if !ok {
				p[0] = 1
				return
			}
			method := some(r.method)
			p[0] = r.set(&method, some(t))
			r.method = method.text
		}, i32, i32, i32, i32),
		canonical.Func("[method]request.get-path-with-query", 0, func(s *canonical.State, p []uint64) {
			putOptional(s, p[1], requestOf(s, p[0]).target)
		}, i32, i32),
		canonical.Func("[method]request.set-path-with-query", i32, func(s *canonical.State, p []uint64) {
			r := requestOf(s, p[0])
			p[0] = r.setOptional(s, &r.target, p[1:], httptypes.ValidTarget)
		}, i32, i32, i32, i32),
		canonical.Func("[method]request.get-scheme", 0, func(s *canonical.State, p []uint64) {
			m, o := s.Area(p[1], 16, 4), requestOf(s, p[0]).scheme
			clear(m)
			if o.some {
				m[0] = 1
				httptypes.PutScheme(s, m, 4, o.text)
			}
		}, i32, i32),
		canonical.Func("[method]request.set-scheme", i32, setScheme, i32, i32, i32, i32, i32),
		canonical.Func("[method]request.get-authority", 0, func(s *canonical.State, p []uint64) {
			putOptional(s, p[1], requestOf(s, p[0]).authority)
		}, i32, i32),
		canonical.Func("[method]request.set-authority", i32, func(s *canonical.State, p []uint64) {
			r := requestOf(s, p[0])
			p[0] = r.setOptional(s, &r.authority, p[1:], httptypes.ValidAuthority)
		}, i32, i32, i32, i32),
		canonical.Func("[method]request.get-options", 0, getOptions, i32, i32),
		canonical.Func("[method]request.get-headers", i32, func(s *canonical.State, p []uint64) {
			p[0] = uint64(s.Handles.Add(requestOf(s, p[0]).fields.shared(), 0))
		}, i32),
		canonical.Func("[static]request.consume-body", 0, func(s *canonical.State, p []uint64) {
			r := canonical.Take[*request](&s.Handles, p[0])
			r.fields.Drop()
			consume(s, &r.body, p[1], p[2])
		}, i32, i32, i32),
		canonical.DropFunc[*request]("request"),
	}
}

// consume implements consume-body of both messages. verdict is the future by which the guest tells how it went.
func consume(s *canonical.State, b *body, verdict, result uint64) {
	c := of(s)
	c.tasks.Lift(uint32(verdict), sentType()).Attach(heedless{s})
	m := s.Area(result, 8, 4)
	contents, trailers := b.consume(c)
	canonical.PutUint32(m, 0, contents)
	canonical.PutUint32(m, 4, trailers)
}

// newRequest implements request.new.
func newRequest(s *canonical.State, p []uint64) {
	c := of(s)
	r := &request{method: "GET", fields: canonical.Take[*fields](&s.Handles, p[0]), body: c.lift(p[1], p[2], p[3]), sent: newSent()}
	if canonical.Case(p[4], 2) == 1 {
		r.options = canonical.Take[*options](&s.Handles, p[5])
		r.options.immutable = true
	}
	m := s.Area(p[6], 8, 4)
	canonical.PutUint32(m, 0, uint32(s.Handles.Add(r, 0)))
	canonical.PutUint32(m, 4, c.tasks.NewReadable(sentType(), r.sent))
}

func setScheme(s *canonical.State, p []uint64) {
	r := requestOf(s, p[0])
	if canonical.Case(p[1], 2) == 0 {
		p[0] = r.set(&r.scheme, optional{})
		return
	}
	t, ok := httptypes.Scheme(s, p[2], p[3], p[4])
	if !ok {
		p[0] = 1
		return
	}
	p[0] = r.set(&r.scheme, some(t))
}

func getOptions(s *canonical.State, p []uint64) {
	m, o := s.Area(p[1], 8, 4), requestOf(s, p[0]).options
	clear(m)
	if o != nil {
		m[0] = 1
		canonical.PutUint32(m, 4, uint32(s.Handles.Add(o, 0)))
	}
}

// responseFunctions returns the functions of the resource response.
func responseFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		canonical.Func("[static]response.new", 0, newResponse, i32, i32, i32, i32, i32),
		canonical.Func("[method]response.get-status-code", i32, func(s *canonical.State, p []uint64) {
			p[0] = uint64(canonical.Get[*response](&s.Handles, p[0]).status)
		}, i32),
		canonical.Func("[method]response.set-status-code", i32, func(s *canonical.State, p []uint64) {
			r, code := canonical.Get[*response](&s.Handles, p[0]), int(uint16(p[1]))
			if !abi.ValidStatus(code) {
				p[0] = 1
				return
			}
			r.status, p[0] = code, 0
		}, i32, i32),
		canonical.Func("[method]response.get-headers", i32, func(s *canonical.State, p []uint64) {
			p[0] = uint64(s.Handles.Add(canonical.Get[*response](&s.Handles, p[0]).fields.shared(), 0))
		}, i32),
		canonical.Func("[static]response.consume-body", 0, func(s *canonical.State, p []uint64) {
			r := canonical.Take[*response](&s.Handles, p[0])
			r.fields.Drop()
			consume(s, &r.body, p[1], p[2])
		}, i32, i32, i32),
		canonical.DropFunc[*response]("response"),
	}
}

// newResponse implements response.new.
func newResponse(s *canonical.State, p []uint64) {
	c := of(s)
	r := &response{status: 200, fields: canonical.Take[*fields](&s.Handles, p[0]), body: c.lift(p[1], p[2], p[3]), sent: newSent()}
	m := s.Area(p[4], 8, 4)
	canonical.PutUint32(m, 0, uint32(s.Handles.Add(r, 0)))
	canonical.PutUint32(m, 4, c.tasks.NewReadable(sentType(), r.sent))
}
