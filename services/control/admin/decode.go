package admin

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/rollout"
	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/schema"
)

const (
	// formOverheadBytes is the maximum size of a multipart body without the modules. The middleware together
	// may be as large as the module.
	formOverheadBytes = 64<<10 + 2*schema.MaxTextBytes
	// maxJSONBytes bounds a JSON body, which refers to modules but contains none. Two texts for get_config fit into it,
	// also if their JSON is twice as long as they are.
	maxJSONBytes = 64<<10 + 4*schema.MaxTextBytes
	// firstBufferBytes bounds the memory allocated for a declared length before any byte has arrived.
	firstBufferBytes = 1 << 20
)

// acceptedTypes ends the message for unsupported types.
const acceptedTypes = "application/wasm or application/octet-stream (the module, with ?prefix=NAME), " +
	"multipart/form-data (prefix and module, upstream, static or function) or application/json (prefix and source, upstream, static or function)"

// typeRaw is the media type of unspecified bytes.
const typeRaw = "application/octet-stream"

const emptyModule = "is empty: send the bytes of a WebAssembly module"

// addRequest is a decoded request to add a service. Its module is not validated yet.
type addRequest struct {
	key      routekey.Key
	selected fields.Selection
	module   []byte        // nil if source is set, or if the kind has no module
	source   *fetch.Source // nil unless the server fetches the module
	use      []useRequest  // the middleware, outermost first
	note     registry.Note // of the new version
	how      deploy.How
	reset    bool          // options that were not given take their defaults, not the current version's values
	check    bool          // the module follows in another request
	fields   *fields.Input // as received
}

// newAddRequest decodes the fields that all forms of the request share. uploads are the modules among the values of use,
// by index. advice is for a request that selects no kind.
func (d *decoder) newAddRequest(in *fields.Input, uploads map[int][]byte, advice string) *addRequest {
	keep := append(d.repeatable(), fieldUnset)
	if _, uploaded := uploads[0]; uploaded {
		keep = append(keep, schema.FieldUse)
	}
	in.DropEmptyLists(keep...)
	in.Unset(fieldUnset, in.Texts(fieldUnset), d.unsettable())
	req := &addRequest{
		key:    in.Key(),
		use:    useOf(in, uploads),
		note:   noteOf(in),
		how:    rollout.Read(in),
		reset:  in.Bool(fieldReset),
		fields: in,
	}
	req.selected, _ = in.Select(d.kinds, advice+d.orElse())
	return req
}

// repeatable returns the lists for which a single empty value has a meaning, or is refused by the kind.
func (d *decoder) repeatable() (names []string) {
	for _, f := range d.kinds.Fields() {
		if f.Type == schema.Texts && (d.kinds.Selects(f.Name) || f.EmptyItems) {
			names = append(names, f.Name)
		}
	}
	return names
}

// takesModule reports whether the request asks for a kind with a module.
func (r *addRequest) takesModule() bool {
	return slices.Contains(r.selected.Form.Requires, schema.FieldModule)
}

// decoder reads the three forms of an add request. It uses only the request's body and headers.
type decoder struct {
	kinds          schema.Kinds // immutable
	maxModuleBytes int64        // immutable
	pace           client.Pace  // immutable; of uploads
}

// decode reads the request. The error is a problem for the client.
func (d *decoder) decode(w http.ResponseWriter, r *http.Request) (*addRequest, error) {
	mediaType, params, err := mediaTypeOf(r)
	if err != nil {
		return nil, err
	}
	var read func(r *http.Request, body *client.Body) (*addRequest, error)
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
	body := client.NewBody(w, r, client.Terms{Bytes: limitBytes, Pace: d.pace})
	defer body.Stop()
	r.Body = body
	req, err := read(r, body)
	if err == nil {
		_, _ = io.Copy(io.Discard, body) // such as the line after a form, so that the connection can be kept
	}
	return req, err
}

// mediaTypeOf returns the lower-case media type of the body and its parameters.
func mediaTypeOf(r *http.Request) (string, map[string]string, error) {
	given := r.Header.Values("Content-Type")
	if len(given) == 0 && r.ContentLength == 0 {
		return typeRaw, nil, nil // a query alone can describe a service without a module
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

// decodeRaw reads the module from the body and all else from the query.
func (d *decoder) decodeRaw(r *http.Request, body *client.Body) (*addRequest, error) {
	in := queryFields(r, d.changeFields()...)
	if r.ContentLength != 0 {
		in.Imply(schema.FieldModule, "the body, a module")
	}
	req := d.newAddRequest(in, nil, "the module "+emptyModule)
	if err := in.Err(); err != nil || !req.takesModule() {
		return req, err // before the upload, not after
	}
	module, err := readModule(r.Body, r.ContentLength)
	if err != nil {
		return nil, bodyProblem(err, body)
	}
	if len(module) == 0 {
		in.Violate(schema.FieldModule, emptyModule)
	}
	req.module = module
	return req, in.Err()
}

// readModule reads all of r, which the caller has bounded. declaredBytes is a hint that allocates at most
// firstBufferBytes.
func readModule(r io.Reader, declaredBytes int64) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(int(min(max(declaredBytes, 0)+bytes.MinRead, firstBufferBytes)))
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
