package outbound

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// Forward returns the calls of a middleware to the handler behind it. serve runs in a goroutine of the call, which ends
// before the call is closed. The size of bodies is not limited.
func Forward(deadline time.Time, origin Origin, serve func(w http.ResponseWriter, r *http.Request) error) abi.Outbound {
	limits := Limits{BodyBytes: math.MaxInt64}.withDefaults()
	return &forward{
		exchange: exchange{client: &Client{cfg: Config{Limits: limits}}, deadline: deadline, origin: origin},
		serve:    serve,
	}
}

// forward implements abi.Outbound.
type forward struct {
	exchange
	serve func(w http.ResponseWriter, r *http.Request) error
}

// Open implements abi.Outbound. The request goes to the handler whatever its host is.
func (f *forward) Open(ctx context.Context, method, target string) (abi.OutboundCall, error) {
	if _, ok := abi.CanonicalName(method); !ok || method == http.MethodConnect {
		return nil, fail(abi.OutboundInvalid, "the method %.40q is not one", method)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return nil, fail(abi.OutboundInvalid, "the request target %.200q is malformed", target)
	}
	return f.add(ctx, method, u, &inProcess{serve: f.serve, caller: "middleware", depth: depthOf(ctx)}, http.Header{})
}
