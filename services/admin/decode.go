package admin

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services/fetch"
)

const (
	// formOverheadBytes is what a multipart body may hold beside the module, and middleware of the same size in all.
	formOverheadBytes = 64 << 10
	// maxJSONBytes bounds a JSON body, which names a module and holds none.
	maxJSONBytes = 64 << 10
	// firstBufferBytes is what a declared length alone can make the server set aside.
	firstBufferBytes = 1 << 20
)

// acceptedTypes is told to those who sent something else.
const acceptedTypes = "application/wasm or application/octet-stream (the module, with ?prefix=NAME), " +
	"multipart/form-data (prefix and module, upstream, static or function) or application/json (prefix and source, upstream, static or function)"

// typeRaw is the media type of bytes of which nothing is said.
const typeRaw = "application/octet-stream"

const emptyModule = "the module is empty: send the bytes of a WebAssembly module"

// addRequest is a decoded request to add a service. Nothing is known of the module or document yet.
type addRequest struct {
	prefix  registry.Prefix
	options registry.Options
	kind    string        // empty for a module
	module  []byte        // or the document of another kind; nil if it is at source
	source  *fetch.Source // nil if module is there
	use     []useRequest  // the middleware, the outermost first
	reset   bool          // options that are not given have their defaults, whatever the current version has
	fields  *fields       // as they were given
}

// newAddRequest takes what all forms have in the same fields.
func newAddRequest(f *fields) *addRequest {
	f.dropEmptyLists()
	f.applyUnset()
	return &addRequest{prefix: f.prefix(), options: f.options(), use: f.use(), reset: f.boolean(fieldReset), fields: f}
}

// bound tells whether the prefix is bound to something else than a module.
func (r *addRequest) bound() bool { return r.kind != "" && r.kind != moduleFunction }

// decoder reads the three forms of an add request; it touches nothing but the request's body.
type decoder struct {
	maxModuleBytes int64 // immutable
	pace           pace  // immutable
}

// decode reads the request. The error is a problem for the client.
func (d *decoder) decode(w http.ResponseWriter, r *http.Request) (*addRequest, error) {
	mediaType, params, err := mediaTypeOf(r)
	if err != nil {
		return nil, err
	}
	var read func(r *http.Request, body *pacedBody) (*addRequest, error)
	var limitBytes int64
	switch mediaType {
	case typeRaw, "application/wasm":
		read, limitBytes = d.decodeRaw, d.maxModuleBytes
	case "multipart/form-data":
		read, limitBytes = d.multipartDecoder(params["boundary"]), 2*d.maxModuleBytes+formOverheadBytes
	case "application/json":
		read, limitBytes = d.decodeJSON, maxJSONBytes
	default:
		return nil, unsupported(mediaType)
	}
	if r.ContentLength > limitBytes {
		return nil, tooLarge(r.ContentLength, limitBytes)
	}
	body := newPacedBody(r.Body, http.NewResponseController(w), d.pace)
	defer body.finish()
	r.Body = http.MaxBytesReader(w, body, limitBytes)
	return read(r, body)
}

// mediaTypeOf gives the media type of the body in lower case.
func mediaTypeOf(r *http.Request) (string, map[string]string, error) {
	given := r.Header.Values("Content-Type")
	if len(given) == 0 && r.ContentLength == 0 {
		return typeRaw, nil, nil // a query can say all that is to be said of what is not a module
	}
	if len(given) == 0 {
		return "", nil, problem.New(problem.UnsupportedMediaType, "the Content-Type is missing: send "+acceptedTypes)
	}
	mediaType, params, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 {
		return "", nil, problem.Newf(problem.UnsupportedMediaType,
			"the Content-Type %.100q is malformed or given twice: send %s", given[0], acceptedTypes)
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", nil, problem.Newf(problem.UnsupportedMediaType, "the Content-Encoding %.40q is not taken: send the body as it is", encoding)
	}
	if charset := params["charset"]; mediaType == "application/json" && charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", nil, problem.Newf(problem.UnsupportedMediaType, "JSON in the charset %.40q is not taken: send UTF-8", charset)
	}
	return mediaType, params, nil
}

func unsupported(mediaType string) error {
	hint := ""
	if mediaType == "application/x-www-form-urlencoded" {
		hint = " (curl sends this type unless told otherwise: add -H 'Content-Type: application/wasm')"
	}
	return problem.Newf(problem.UnsupportedMediaType, "the Content-Type %.100q is not taken%s: send %s", mediaType, hint, acceptedTypes)
}

func tooLarge(sizeBytes, limitBytes int64) error {
	return problem.Newf(problem.BodyTooLarge, "the body has %d bytes, and at most %d are taken; nothing was changed", sizeBytes, limitBytes)
}

// decodeRaw takes the body as the module and the rest from the query.
func (d *decoder) decodeRaw(r *http.Request, body *pacedBody) (*addRequest, error) {
	f := queryFields(r, changeFields(fieldPrefix)...)
	req := newAddRequest(f)
	if r.ContentLength != 0 {
		f.claimed[fieldModule] = true
	}
	req.kind, req.module = f.bound(fieldModule)
	switch {
	case !req.bound() && r.ContentLength == 0:
		f.violatef(emptyModule + orElse)
	case req.bound() && r.ContentLength != 0:
		f.violatef("there is a body, which would be a module, and the query binds the prefix to something else: choose one of them")
	}
	if err := f.err(); err != nil || req.bound() {
		return req, err // before the upload, not after
	}
	module, err := readModule(r.Body, r.ContentLength)
	if err != nil {
		return nil, bodyProblem(err, body)
	}
	if len(module) == 0 {
		f.violatef(emptyModule)
	}
	req.module = module
	return req, f.err()
}

// readModule reads all of r, which is bounded. The declared length is not trusted further than it is cheap.
func readModule(r io.Reader, declaredBytes int64) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(int(min(max(declaredBytes, 0)+bytes.MinRead, firstBufferBytes)))
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// refuseQuery is for the forms that say everything in the body.
func (f *fields) refuseQuery(r *http.Request) {
	if r.URL.RawQuery != "" {
		f.violatef("the query is not empty: with this Content-Type, all fields belong into the body")
	}
}
