package servicetest

import (
	"context"
	"io"
	"net/http"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
)

// TextKind is the name of the kind Text.
const TextKind = "text"

// Text is a kind whose modules are the texts that its services answer.
type Text struct{}

// Name implements services.Kind.
func (Text) Name() string { return TextKind }

// Validate implements services.Kind.
func (Text) Validate(services.Spec) error { return nil }

// Prepare implements services.Kind.
func (Text) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	return text(s.Module), nil
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
