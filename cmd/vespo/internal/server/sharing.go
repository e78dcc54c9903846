package server

import (
	"context"
	"io"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// openSharing opens an engine by which hosts share data as a part. run is called on a goroutine of its own until the part is closed.
func openSharing(ctx context.Context, list *parts.List, name string, open func(context.Context) (engine io.Closer, run func(context.Context), err error)) error {
	var opened io.Closer
	stop := func() {}
	return list.Open(ctx, parts.Part{
		Name: name,
		Data: true,
		Open: func(ctx context.Context) error {
			engine, run, err := open(ctx)
			if err != nil {
				return err
			}
			opened = engine
			running, cancel := context.WithCancel(context.WithoutCancel(ctx))
			done := make(chan struct{})
			go func() {
				defer close(done)
				run(running)
			}()
			stop = func() {
				cancel()
				<-done
			}
			return nil
		},
		Close: func(context.Context) error {
			stop()
			return opened.Close()
		},
	})
}
