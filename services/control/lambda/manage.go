package lambda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/schema"
)

// maxCodeBytes bounds the body of a request with code: 50 MiB in base64, and the other fields.
const maxCodeBytes = 72 << 20

// maxSettingsBytes bounds the body of a management request without code.
const maxSettingsBytes = 256 << 10

// managementRoutes registers the supported operations on functions. Changes need Config.Manage.
func (h *Handler) managementRoutes() {
	const functions = "/2015-03-31/functions"
	for pattern, e := range map[string]endpoint{
		"GET " + functions:                                 h.listFunctions,
		"GET " + functions + "/{function}":                 h.getFunction,
		"GET " + functions + "/{function}/configuration":   h.getConfiguration,
		"GET " + functions + "/{function}/versions":        h.listVersions,
		"GET " + functions + "/{function}/aliases":         h.listAliases,
		"GET " + functions + "/{function}/aliases/{alias}": h.getAlias,
		"GET /2019-09-30/functions/{function}/concurrency": h.getConcurrency,
		"GET /2021-10-31/functions/{function}/url":         h.getURL,
		"GET " + functions + "/{$}":                        h.listFunctions,
	} {
		h.handle(pattern, operation{serve: e, limitBytes: maxSettingsBytes})
	}
	for pattern, e := range map[string]endpoint{
		"POST " + functions:                                   h.createFunction,
		"DELETE " + functions + "/{function}":                 h.deleteFunction,
		"PUT " + functions + "/{function}/configuration":      h.updateConfiguration,
		"PUT " + functions + "/{function}/code":               h.updateCode,
		"POST " + functions + "/{function}/versions":          h.publishVersion,
		"POST " + functions + "/{function}/aliases":           h.createAlias,
		"PUT " + functions + "/{function}/aliases/{alias}":    h.updateAlias,
		"DELETE " + functions + "/{function}/aliases/{alias}": h.deleteAlias,
		"PUT /2017-10-31/functions/{function}/concurrency":    h.putConcurrency,
		"DELETE /2017-10-31/functions/{function}/concurrency": h.deleteConcurrency,
		"POST /2021-10-31/functions/{function}/url":           h.createURL,
		"DELETE /2021-10-31/functions/{function}/url":         h.deleteURL,
	} {
		o := operation{serve: h.changing(e), limitBytes: maxSettingsBytes, early: h.mayChange}
		if pattern == "POST "+functions || pattern == "PUT "+functions+"/{function}/code" {
			o.limitBytes = maxCodeBytes
		}
		h.handle(pattern, o)
	}
}

// mayChange returns an error unless functions may be changed
// and the function that the request names, if any, exists.
func (h *Handler) mayChange(r *request) error {
	if !h.cfg.Manage {
		return fail(http.StatusForbidden, "AccessDeniedException", "functions cannot be changed by this API: the server has to be started with --lambda-manage")
	}
	if r.PathValue("function") == "" {
		return nil
	}
	ref, err := arn.Parse(r.PathValue("function"))
	if err != nil {
		return invalid("%s", err)
	}
	_, err = h.entry(ref.Name)
	return err
}

// changing wraps e with the check of mayChange.
func (h *Handler) changing(e endpoint) endpoint {
	return func(w http.ResponseWriter, r *request) error {
		if err := h.mayChange(r); err != nil {
			return err
		}
		return e(w, r)
	}
}

// configuration is Lambda's description of a function version.
type configuration struct {
	FunctionName, FunctionArn, Version, RevisionId string
	Runtime, Role, Handler, Description            string `json:",omitempty"`
	CodeSha256, LastModified, PackageType          string
	State, LastUpdateStatus                        string
	StateReason                                    string `json:",omitempty"`
	CodeSize                                       int64
	Timeout                                        int // seconds
	MemorySize                                     int // MiB
	Architectures                                  []string
}

// describe returns the configuration of a function service. version is "$LATEST" or a number.
func (h *Handler) describe(e deploy.Entry, name, version string) configuration {
	current, kept := e.Service.Current, h.book.get(name)
	timeout := schema.TimeoutOf(current.Manifest)
	if timeout == 0 {
		timeout = h.cfg.Timeout
	}
	c := configuration{
		FunctionName:     name,
		FunctionArn:      arn.Format(name, ""),
		Version:          version,
		RevisionId:       revisionOf(e.Service),
		Runtime:          kept.Runtime,
		Role:             kept.Role,
		Handler:          kept.Handler,
		Description:      kept.Description,
		CodeSha256:       codeHash(codeOf(current)),
		LastModified:     current.Deployed.UTC().Format("2006-01-02T15:04:05.000-0700"),
		PackageType:      "Zip",
		State:            "Active",
		LastUpdateStatus: "Successful",
		CodeSize:         current.Size(),
		Timeout:          int((timeout + time.Second - 1) / time.Second),
		MemorySize:       int(e.Status.MemoryBytes >> 20),
		Architectures:    []string{architecture()},
	}
	if version != arn.Latest {
		c.FunctionArn = arn.Format(name, version)
	}
	if c.MemorySize == 0 {
		c.MemorySize = max(128, kept.MemorySize)
	}
	if e.Problem != nil {
		c.State, c.StateReason = "Failed", "the service could not be prepared; the server's log has the reason"
	}
	return c
}

func architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// codeOf returns the digest of the code of a version: its module, its package, or else its manifest.
func codeOf(v registry.Version) registry.Digest {
	if own := v.BlobsOf(schema.FieldModule); len(own) > 0 {
		return own[0]
	}
	if digest := packageOf(v.Manifest); digest != "" {
		return digest
	}
	return registry.DigestOf([]byte(schema.Without(schema.OfKind(v.Manifest), schema.FieldTimeout, fieldConfig)))
}

// codeHash returns a digest in Lambda's form, base64.
func codeHash(d registry.Digest) string {
	raw, _ := hex.DecodeString(d.Hex()) // a digest is always hexadecimal
	return base64.StdEncoding.EncodeToString(raw)
}

// revisionOf returns a revision id, which changes with
// every change of the service. It has the form of a UUID.
func revisionOf(s registry.Service) string {
	sum := sha256.Sum256([]byte(s.Key.String() + "\x00" + strconv.FormatUint(uint64(s.Current.Generation), 10)))
	x := hex.EncodeToString(sum[:16])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err = w.Write(body)
	return gone(err)
}

// decode reads the JSON body of a request into v. An empty body leaves v as it is.
func decode(r *request, v any) error {
	dec := json.NewDecoder(bytes.NewReader(withoutMark(r.body)))
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return unusable("Could not parse request body into json: %.200s", err)
	}
	return nil
}

// withoutMark drops a UTF-8 byte order mark, which some editors and shells write.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// named returns the function of a request that must not name a version.
func (h *Handler) named(r *request) (name string, e deploy.Entry, err error) {
	ref, err := arn.Parse(r.PathValue("function"))
	if err != nil {
		return "", e, invalid("%s", err)
	}
	if q := r.URL.Query().Get("Qualifier"); ref.Qualifier != "" && ref.Qualifier != arn.Latest || q != "" && q != arn.Latest {
		return "", e, invalid("this operation takes no qualifier")
	}
	e, err = h.entry(ref.Name)
	return ref.Name, e, err
}

func (h *Handler) listFunctions(w http.ResponseWriter, r *request) error {
	limit, err := strconv.Atoi(r.URL.Query().Get("MaxItems"))
	if err != nil || limit < 1 || limit > 50 {
		limit = 50
	}
	marker := r.URL.Query().Get("Marker")
	answer := struct {
		Functions  []configuration
		NextMarker *string
	}{Functions: []configuration{}}
	for _, e := range h.cfg.Catalogue.List() {
		name := arn.Name(e.Service.Key.String())
		if _, _, isVersion := versionOf(e.Service.Key); isVersion || marker != "" && e.Service.Key.String() <= marker {
			continue
		}
		if len(answer.Functions) == limit {
			break
		}
		answer.Functions = append(answer.Functions, h.describe(e, name, arn.Latest))
		last := e.Service.Key.String()
		answer.NextMarker = &last
	}
	if len(answer.Functions) < limit {
		answer.NextMarker = nil
	}
	return answerJSON(w, http.StatusOK, answer)
}

// described returns the configuration of the version that a request names, and the function's name.
func (h *Handler) described(r *request) (configuration, string, error) {
	t, err := h.find(r)
	if err != nil {
		return configuration{}, "", err
	}
	e, err := h.cfg.Catalogue.Inspect(t.key)
	if err != nil {
		return configuration{}, "", err
	}
	return h.describe(e, t.name, t.executed), t.name, nil
}

func (h *Handler) getConfiguration(w http.ResponseWriter, r *request) error {
	c, _, err := h.described(r)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, c)
}

func (h *Handler) getFunction(w http.ResponseWriter, r *request) error {
	c, name, err := h.described(r)
	if err != nil {
		return err
	}
	answer := map[string]any{"Configuration": c, "Code": map[string]string{"RepositoryType": "Vespo"}}
	if n := h.book.get(name).Concurrency; n != nil {
		answer["Concurrency"] = map[string]int{"ReservedConcurrentExecutions": *n}
	}
	return answerJSON(w, http.StatusOK, answer)
}

func (h *Handler) deleteFunction(w http.ResponseWriter, r *request) error {
	ref, err := arn.Parse(r.PathValue("function"))
	if err != nil {
		return invalid("%s", err)
	}
	if q := r.URL.Query().Get("Qualifier"); q != "" {
		ref.Qualifier = q
	}
	e, err := h.entry(ref.Name)
	if err != nil {
		return err
	}
	if ref.Qualifier == "" {
		err = h.deleteAll(r.Context(), ref.Name, e)
	} else {
		err = h.deleteVersion(r.Context(), ref, e)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteVersion removes a published version. It fails if an alias refers to it.
func (h *Handler) deleteVersion(ctx context.Context, ref arn.Reference, e deploy.Entry) error {
	if _, err := strconv.ParseUint(ref.Qualifier, 10, 31); err != nil {
		return invalid("a version can be deleted by its number, not by %.140q", ref.Qualifier)
	}
	unused := editOf(func(own *record) error {
		for name, a := range own.Aliases {
			if _, weighted := a.Weights[ref.Qualifier]; weighted || a.Version == ref.Qualifier {
				return fail(http.StatusConflict, "ResourceConflictException", "the alias %.140q leads to this version", name)
			}
		}
		return nil
	})
	_, err := h.cfg.Catalogue.Transact(ctx, nil, func(*registry.State) (deploy.Changes, error) {
		return deploy.Changes{
			Remove:  []routekey.Key{versionPrefix(e.Service.Key, ref.Qualifier)},
			Records: map[string]deploy.Edit{recordOf(ref.Name): unused},
		}, nil
	})
	return err
}

// deleteAll removes a function with all its versions and its record.
func (h *Handler) deleteAll(ctx context.Context, name string, e deploy.Entry) error {
	function := e.Service.Key
	_, err := h.cfg.Catalogue.Transact(ctx, []routekey.Key{function}, func(s *registry.State) (deploy.Changes, error) {
		changes := deploy.Changes{
			Remove:  []routekey.Key{function},
			Records: map[string]deploy.Edit{recordOf(name): func(registry.Record) (registry.Record, error) { return registry.Record{}, nil }},
		}
		for key := range s.Services {
			if base, _, ok := versionOf(key); ok && base == function {
				changes.Remove = append(changes.Remove, key)
			}
		}
		slices.SortFunc(changes.Remove, routekey.Key.Compare)
		return changes, nil
	})
	return err
}

func (h *Handler) updateConfiguration(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in struct {
		settings
		RevisionId *string
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	changed, err := h.deploy(r.Context(), deployment{
		name: name,
		key:  e.Service.Key,
		note: in.keep,
		build: func(current registry.Service) (services.Spec, error) {
			if err := checkCurrent(name, in.RevisionId, current); err != nil {
				return services.Spec{}, err
			}
			spec := specOf(current)
			h.apply(&in.settings, &spec)
			return spec, nil
		},
	})
	if err != nil {
		return err
	}
	return h.answerDeployed(w, http.StatusOK, name, changed)
}
