package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/kvlines"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields of requests for key-value stores.
const (
	fieldStore  = "store"
	fieldKVKey  = "key"
	fieldPrefix = "prefix"
	fieldCursor = "cursor"
	fieldLimit  = "limit"
	fieldAll    = "all"
)

// typeLines is the media type of exports and imports.
const typeLines = "application/jsonl"

// kvTimeout bounds one write or page.
const kvTimeout = 30 * time.Second

// storeView is the JSON form of a store.
type storeView struct {
	Store    string   `json:"store"`
	Keys     int64    `json:"keys"`
	Bytes    int64    `json:"bytes"`
	Services []string `json:"services,omitempty"` // that name the store
	Problem  string   `json:"problem,omitempty"`
}

// keyView is the JSON form of a key in a list.
type keyView struct {
	Key      string     `json:"key"`
	Size     int64      `json:"size"`
	Metadata string     `json:"metadata,omitempty"`
	Expires  time.Time  `json:"expires,omitzero"`
	Version  kv.Version `json:"version"`
}

// keysView is the answer to a list of keys.
type keysView struct {
	Store  string    `json:"store"`
	Keys   []keyView `json:"keys"`
	Cursor string    `json:"cursor,omitempty"`
}

// kvChangeView is the answer to a change of a store.
type kvChangeView struct {
	Store string `json:"store"`
	Key   string `json:"key,omitempty"`
	State string `json:"state"`
	kvlines.Imported
}

// kvRoutes returns the endpoints of key-value stores.
func (h *Handler) kvRoutes(reads, changes limiter) map[string]endpoint {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	return map[string]endpoint{
		"/services/kv":        {methods: get, limiter: reads, serve: h.kvStores},
		"/services/kv/list":   {methods: get, limiter: reads, serve: h.kvList},
		"/services/kv/get":    {methods: get, limiter: reads, serve: h.kvGet},
		"/services/kv/export": {methods: get, limiter: reads, serve: h.kvExport},
		"/services/kv/import": {methods: post, limiter: changes, serve: h.kvImport},
		"/services/kv/delete": {methods: post, limiter: changes, serve: h.kvDelete},
	}
}

// stores returns the key-value stores, or a problem.
func (h *Handler) stores() (kv.Stores, error) {
	if h.cfg.KeyValue == nil {
		return nil, problem.New(problem.NotFound, "this server has no key-value stores")
	}
	return h.cfg.KeyValue, nil
}

// kvFields returns the store of a request.
func kvFields(in *fields.Input) (store string) {
	store = in.Text(fieldStore)
	if !in.Has(fieldStore) {
		in.Missing(fieldStore, "name the key-value store")
	} else if err := kv.CheckName(store); err != nil {
		in.Violate(fieldStore, "is %.100q: a store has 1 to %d of a-z, 0-9, - and _", store, kv.MaxNameBytes)
	}
	return store
}

// textFields describes fields that are text.
func textFields(names ...string) (all []schema.Field) {
	for _, name := range append([]string{fieldStore}, names...) {
		all = append(all, schema.Field{Name: name, Type: schema.Text})
	}
	return all
}

// kvProblem returns the problem for an error of a store.
func kvProblem(err error) error {
	for _, known := range [...]struct {
		err  error
		kind problem.Kind
	}{
		{kv.ErrNotFound, problem.NotFound},
		{kv.ErrInvalid, problem.BadRequest},
		{kv.ErrTooLarge, problem.BadRequest},
		{kv.ErrNotNumber, problem.BadRequest},
		{kv.ErrConflict, problem.Conflict},
		{kv.ErrFull, problem.InsufficientStorage},
		{kv.ErrUncertain, problem.Deadline},
		{kv.ErrUnavailable, problem.NotReady},
		{context.DeadlineExceeded, problem.Deadline},
	} {
		if errors.Is(err, known.err) {
			text, _ := strings.CutSuffix(err.Error(), ": "+known.err.Error())
			if known.err == context.DeadlineExceeded {
				text = "the store has not answered in time"
			}
			return problem.New(known.kind, text).WithCause(err)
		}
	}
	return err
}

func (h *Handler) kvStores(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	if err := bodilessFields(r).Err(); err != nil {
		return err
	}
	all, err := stores.All(r.Context())
	if err != nil {
		return kvProblem(err)
	}
	named := h.storesOfServices()
	view := struct {
		Stores []storeView `json:"stores"`
	}{[]storeView{}}
	for _, s := range all {
		view.Stores = append(view.Stores, storeView{
			Store:    s.Name,
			Keys:     s.Keys,
			Bytes:    s.Bytes,
			Services: named[s.Name],
			Problem:  s.Problem,
		})
		delete(named, s.Name)
	}
	for name, services := range named { // that have no key yet
		view.Stores = append(view.Stores, storeView{Store: name, Services: services})
	}
	slices.SortFunc(view.Stores, func(a, b storeView) int { return strings.Compare(a.Store, b.Store) })
	return h.answer(w, http.StatusOK, view)
}

// storesOfServices returns the services that name a store, by store.
func (h *Handler) storesOfServices() map[string][]string {
	named := make(map[string][]string)
	d, err := h.deployer()
	if err != nil {
		return named // while the server starts, services are not known
	}
	for _, entry := range d.List() {
		byName, _ := kv.ParseBindings(h.optionsOf(entry.Service.Current).list("kv"))
		for _, store := range byName {
			if service := entry.Service.Key.String(); !slices.Contains(named[store], service) {
				named[store] = append(named[store], service)
			}
		}
	}
	return named
}

// known returns a problem unless the store exists or a service names it, so that no client takes a misspelt name for an
// empty store.
func (h *Handler) known(ctx context.Context, stores kv.Stores, store string) error {
	if _, err := h.deployer(); err != nil {
		return nil // while the server starts, services are not known
	}
	all, err := stores.All(ctx)
	if err != nil {
		return kvProblem(err)
	}
	if slices.ContainsFunc(all, func(i kv.Info) bool { return i.Name == store }) || h.storesOfServices()[store] != nil {
		return nil
	}
	return problem.Newf(problem.NotFound, "there is no store %q, and no service names it: \"vespo kv list\" shows the stores", store)
}

func (h *Handler) kvList(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	in := bodilessFields(r, append(textFields(fieldPrefix, fieldCursor), schema.Field{Name: fieldLimit, Type: schema.Count})...)
	store := kvFields(in)
	limit := int64(kv.MaxPage)
	if n, given := in.Value(fieldLimit).(int64); given {
		limit = n
	}
	if err := in.Err(); err != nil {
		return err
	}
	if err := h.known(r.Context(), stores, store); err != nil {
		return err
	}
	page, err := stores.List(r.Context(), store, kv.Query{Prefix: in.Text(fieldPrefix), After: in.Text(fieldCursor), Limit: int(limit)})
	if err != nil {
		return kvProblem(err)
	}
	view := keysView{Store: store, Keys: []keyView{}, Cursor: page.Next}
	for _, e := range page.Entries {
		l := kvlines.LineOf(e)
		view.Keys = append(view.Keys, keyView{
			Key:      e.Key,
			Size:     e.SizeBytes - kv.EntryOverheadBytes,
			Metadata: e.Metadata,
			Expires:  l.Expires,
			Version:  e.Version,
		})
	}
	return h.answer(w, http.StatusOK, view)
}

func (h *Handler) kvGet(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	in := bodilessFields(r, textFields(fieldKVKey)...)
	store := kvFields(in)
	if err := in.Err(); err != nil {
		return err
	}
	e, err := stores.Get(r.Context(), store, in.Text(fieldKVKey))
	if errors.Is(err, kv.ErrNotFound) {
		if misspelt := h.known(r.Context(), stores, store); misspelt != nil {
			return misspelt
		}
	}
	if err != nil {
		return kvProblem(err)
	}
	return h.answer(w, http.StatusOK, kvlines.LineOf(e))
}

// kvExport streams the lines. A failure after the first page cuts the connection, so that no client takes a part for all.
func (h *Handler) kvExport(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	in := bodilessFields(r, textFields(fieldPrefix)...)
	store := kvFields(in)
	if err := in.Err(); err != nil {
		return err
	}
	if err := h.known(r.Context(), stores, store); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", typeLines)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return nil
	}
	to, paced := w.(*client.Writer)
	if paced {
		to.Paced()
	}
	client.ConnOf(w).Received()
	if err := kvlines.Export(r.Context(), stores, store, in.Text(fieldPrefix), w); err != nil {
		if paced && to.Started() {
			return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
		}
		return kvProblem(err)
	}
	return nil
}

// kvImport writes the lines of the body, and answers with their number.
func (h *Handler) kvImport(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	in := queryFields(r, textFields()...)
	store := kvFields(in)
	if err := in.Err(); err != nil {
		return err
	}
	body := client.NewBody(w, r, client.Terms{Pace: h.decoder.pace})
	defer body.Stop()
	var done kvlines.Imported
	err = h.audited(r, store, func() (err error) {
		done, err = kvlines.Import(r.Context(), boundedStores{stores}, store, body)
		return err
	})
	var line *kvlines.LineError
	switch {
	case errors.As(err, &line):
		return lineProblem(line)
	case err != nil:
		return bodyProblem(err, body)
	}
	return h.answer(w, http.StatusOK, kvChangeView{Store: store, State: "imported", Imported: done})
}

// lineProblem returns the problem for a line of an import.
func lineProblem(line *kvlines.LineError) error {
	cause := kvProblem(line.Err)
	kind, text := problem.BadRequest, line.Err.Error()
	var told *problem.Problem
	if errors.As(cause, &told) {
		kind, text = told.Kind(), told.Detail
	}
	return problem.Newf(kind, "line %d: %s; %d keys of the lines before were written", line.Line, text, line.Done.Keys).WithCause(line.Err)
}

// boundedStores bounds the time of each write.
type boundedStores struct{ kv.Stores }

func (b boundedStores) Write(ctx context.Context, store string, changes []kv.Change) ([]kv.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	return b.Stores.Write(ctx, store, changes)
}

// kvDelete deletes a key, or the store with all of its keys.
func (h *Handler) kvDelete(w http.ResponseWriter, r *http.Request) error {
	stores, err := h.stores()
	if err != nil {
		return err
	}
	in := bodilessFields(r, append(textFields(fieldKVKey), schema.Field{Name: fieldAll, Type: schema.Bool})...)
	store := kvFields(in)
	all, key := in.Bool(fieldAll), in.Text(fieldKVKey)
	if all == in.Has(fieldKVKey) {
		in.Violate(fieldKVKey, "or all=true has to be given, to delete one key or the store with all keys")
	}
	if err := in.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), kvTimeout)
	defer cancel()
	if all {
		if err := h.audited(r, store, func() error { return stores.Drop(ctx, store) }); err != nil {
			return kvProblem(err)
		}
		return h.answer(w, http.StatusOK, kvChangeView{Store: store, State: "deleted"})
	}
	var results []kv.Result
	err = h.audited(r, store, func() (err error) {
		results, err = stores.Write(ctx, store, []kv.Change{{Op: kv.OpDelete, Key: key}})
		return err
	})
	if err != nil {
		return kvProblem(err)
	}
	if !results[0].Existed {
		return problem.Newf(problem.NotFound, "the store %q has no key %.100q", store, key)
	}
	return h.answer(w, http.StatusOK, kvChangeView{Store: store, Key: key, State: "deleted"})
}
