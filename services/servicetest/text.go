package servicetest

import (
	"context"
	"io"
	"net/http"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// TextKind is the name of the kind Text.
const TextKind = "text"

// Text is a kind whose modules are the texts that its services answer.
type Text struct{}

// Describe implements services.Kind.
func (Text) Describe() schema.Kind { return moduleKind(TextKind) }

// moduleKind describes a kind whose services have a module and a timeout.
func moduleKind(name string) schema.Kind {
	return schema.Kind{
		Name: name,
		Forms: []schema.Form{{
			Requires: []string{schema.FieldModule},
			Fields: []schema.Field{
				{Name: schema.FieldModule, Type: schema.Blob},
				schema.Timeout("", ""),
			},
		}},
	}
}

// Validate implements services.Kind.
func (Text) Validate(services.Spec) error { return nil }

// Prepare implements services.Kind.
func (Text) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	return text(s.Blob(schema.FieldModule).Content), nil
}

// text is a services.Deployment.
type text string

func (d text) Serve(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
	_, err := io.WriteString(w, string(d))
	return err
}

func (text) Status() services.Status                     { return services.Status{State: services.StateReady} }
func (text) Scale(context.Context, services.Scale) error { return nil }
func (text) Close(context.Context) error                 { return nil }
