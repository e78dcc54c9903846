package admin

import (
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/middleware"
	"github.com/vespo-dev/vespo/services/egress/fetch"
)

// useRequest is one middleware of an add request.
type useRequest struct {
	module []byte        // nil if source is set
	source *fetch.Source // nil if module is set
}

// use returns the middleware in the order of the request.
func (f *fields) use() (all []useRequest) {
	values := f.lists[fieldUse]
	if len(values) > middleware.MaxLength {
		f.violatef("%s %s has %d modules: at most %d can be in front of a service", f.noun, fieldUse, len(values), middleware.MaxLength)
		return nil
	}
	for i, value := range values {
		if module, uploaded := f.uploads[i]; uploaded {
			if len(module) == 0 {
				f.violatef("%s %s has an empty module: send the bytes of a WebAssembly module", f.noun, fieldUse)
			}
			all = append(all, useRequest{module: module})
			continue
		}
		source, err := fetch.ParseSource(value)
		if err != nil {
			f.violatef("%s %s: %s", f.noun, fieldUse, err)
			continue
		}
		all = append(all, useRequest{source: &source})
	}
	return all
}

// readUse reads the part of a form that holds a middleware module.
func (d *decoder) readUse(part *multipart.Part, f *fields) error {
	module, err := readModule(http.MaxBytesReader(nil, part, d.maxModuleBytes), 0)
	if err != nil {
		return err
	}
	if f.uploads == nil {
		f.uploads = make(map[int][]byte)
	}
	f.uploads[len(f.lists[fieldUse])] = module
	f.set(fieldUse, "")
	return nil
}

// use returns the middleware modules, from the request or fetched from their sources.
func (h *Handler) use(ctx context.Context, req *addRequest) (modules [][]byte, err error) {
	for i, u := range req.use {
		module := u.module
		if u.source != nil {
			if module, err = h.fetch(ctx, *u.source); err != nil {
				return nil, inMiddleware(i+1, err)
			}
		}
		modules = append(modules, module)
	}
	return modules, nil
}

// inMiddleware adds the middleware's position to a fetch error.
func inMiddleware(position int, err error) error {
	var told *problem.Problem
	if !errors.As(err, &told) {
		return err
	}
	return problem.New(told.Kind(), fmt.Sprintf("middleware %d: %s", position, told.Detail)).WithCause(err)
}
