package admin

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
)

const (
	maxParts      = 400     // of a form, including unknown ones
	maxFieldBytes = 4 << 10 // of a field other than the module
)

// multipartDecoder returns a decoder of forms, whose parts hold the fields and the module in any order.
func (d *decoder) multipartDecoder(boundary string) func(*http.Request, *pacedBody) (*addRequest, error) {
	return func(r *http.Request, body *pacedBody) (*addRequest, error) {
		f := newFields("form field", changeFields(fieldPrefix, fieldModule)...)
		f.refuseQuery(r)
		if boundary == "" {
			f.violatef("the Content-Type has no boundary: let the client that builds the form set the header")
			return nil, f.err()
		}
		module, err := d.readParts(multipart.NewReader(r.Body, boundary), f, body)
		if err != nil {
			return nil, err
		}
		req := newAddRequest(f)
		if req.kind, req.module = f.bound(fieldModule); !req.bound() {
			req.module = module
		}
		switch {
		case f.claimed[fieldModule] && len(module) == 0:
			f.violatef(emptyModule)
		case len(req.module) == 0:
			f.missing(fieldModule, "give the module as a file, such as curl -F module=@hello.wasm"+orElse)
		}
		return req, f.err()
	}
}

// readParts reads the whole form into f and returns the module.
func (d *decoder) readParts(parts *multipart.Reader, f *fields, body *pacedBody) (module []byte, err error) {
	for count := 0; ; count++ {
		part, err := parts.NextRawPart()
		if err == io.EOF { // the end of the form; a wrapped EOF is a truncated form
			return module, nil
		}
		if err != nil {
			return nil, formProblem(err, body)
		}
		if count == maxParts {
			f.violatef("the form has more than %d parts", maxParts)
			return nil, f.err()
		}
		content, err := d.readPart(part, f)
		if err != nil {
			return nil, formProblem(err, body)
		}
		if content != nil {
			module = content
		}
	}
}

// readPart reads one part into f. It returns the content if the part is the module.
func (d *decoder) readPart(part *multipart.Part, f *fields) ([]byte, error) {
	name := part.FormName()
	if name == "" {
		f.violatef("a part of the form has no name")
		return nil, nil
	}
	switch encoding := part.Header.Get("Content-Transfer-Encoding"); strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
	default:
		f.violatef("form field %.60q has the Content-Transfer-Encoding %.40q: send it as it is", name, encoding)
		return nil, nil
	}
	if !f.claim(name) {
		return nil, nil
	}
	if name == fieldModule {
		content, err := readModule(http.MaxBytesReader(nil, part, d.maxModuleBytes), 0)
		return content, err
	}
	if name == fieldUse && part.FileName() != "" {
		return nil, d.readUse(part, f)
	}
	value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
	if len(value) > maxFieldBytes {
		f.violatef("%s %s is longer than %d bytes", f.noun, name, maxFieldBytes)
		return nil, err
	}
	f.set(name, string(value))
	return nil, err
}

// formProblem distinguishes transport errors from malformed forms.
func formProblem(err error, body *pacedBody) error {
	p := bodyProblem(err, body)
	var told *problem.Problem
	if errors.As(p, &told) && told.Kind() != problem.BadRequest {
		return p
	}
	return problem.Newf(problem.BadRequest,
		"the form is malformed or ends early, after %d bytes; nothing was changed", body.received).WithCause(err)
}
