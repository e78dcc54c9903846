package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/patience"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// askInterval is the time between two requests of ReadyCmd.
const askInterval = 200 * time.Millisecond

// answerTimeout bounds one of the questions that a command repeats.
const answerTimeout = 10 * time.Second

// ReadyCmd reports whether a server is ready, as a health check does.
type ReadyCmd struct {
	Wait   time.Duration `placeholder:"DURATION" default:"0s" help:"Ask again for this long until the server is ready (${default})."`
	Server string        `placeholder:"URL" env:"VESPO_SERVER" default:"${server}" help:"The server to ask (${default})."`
	tlsFlags
}

// Validate is called by kong.
func (c *ReadyCmd) Validate() error {
	base, err := parseServer(c.Server)
	if err == nil {
		err = c.tlsFlags.check(base, "")
	}
	if err == nil && c.Wait < 0 {
		err = fmt.Errorf("--wait is %s: it must be 0 or more", c.Wait)
	}
	return err
}

// Run is called by kong. Its error is the reason why the server is not ready.
func (c *ReadyCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := newClient(c.Server, "", 0, &c.tlsFlags)
	if err != nil {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, c.Wait)
	defer stop()
	again := time.NewTicker(askInterval)
	defer again.Stop()
	for {
		err := client.ready(ctx)
		if err == nil {
			_, err = fmt.Fprintln(s.Out, "ready")
			return err
		}
		select {
		case <-waiting.Done():
			return errors.Join(err, ctx.Err())
		case <-again.C:
		}
	}
}

// ready returns nil if the server answers that it is ready.
func (c *Client) ready(ctx context.Context) error {
	ctx, stop := c.briefly(ctx)
	defer stop()
	_, err := c.Get(ctx, readyPath, nil)
	return err
}

// briefly returns a context that ends after answerTimeout. The caller calls stop.
func (c *Client) briefly(ctx context.Context) (brief context.Context, stop context.CancelFunc) {
	return context.WithTimeoutCause(ctx, answerTimeout, &patience.SilentError{Server: c.base, Silence: answerTimeout, Method: http.MethodGet})
}
