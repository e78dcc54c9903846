package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/middleware"
	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/schema"
)

// useRequest is one middleware of an add request.
type useRequest struct {
	module []byte        // nil if source is set
	source *fetch.Source // nil if module is set
}

// useOf returns the middleware in the order of the request. uploads are the modules among its values, by index.
func useOf(in *fields.Input, uploads map[int][]byte) (all []useRequest) {
	values := in.Texts(schema.FieldUse)
	if len(values) > middleware.MaxLength {
		in.Violate(schema.FieldUse, "has %d modules: at most %d can be in front of a service", len(values), middleware.MaxLength)
		return nil
	}
	for i, value := range values {
		if module, uploaded := uploads[i]; uploaded {
			if len(module) == 0 {
				in.Violate(schema.FieldUse, "has an empty module: send the bytes of a WebAssembly module")
			}
			all = append(all, useRequest{module: module})
			continue
		}
		source, err := fetch.ParseSource(value)
		if err != nil {
			in.Violate(schema.FieldUse, "is refused: %s", err)
			continue
		}
		all = append(all, useRequest{source: &source})
	}
	return all
}

// use returns the middleware modules, from the request or fetched from their sources.
func (h *Handler) use(ctx context.Context, req *addRequest) (modules [][]byte, err error) {
	for i, u := range req.use {
		module := u.module
		if u.source != nil {
			if module, _, err = h.fetch(ctx, *u.source); err != nil {
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
