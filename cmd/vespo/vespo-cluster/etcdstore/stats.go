package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
)

// operations are the kinds of requests that are counted, in the order of their names.
var operations = [...]string{"lease", "other", "read", "transaction", "watch", "write"}

// counts are counts since the store was opened. They are safe for concurrent use.
type counts struct {
	ok, failed             [len(operations)]atomic.Uint64 // by operation
	changes, writes, reads atomic.Uint64
	trouble                atomic.Pointer[string] // why the last request found no connection; nil if it did
}

// operation returns the index of a method of etcd.
func operation(method string) int {
	name := "other"
	switch service, call, _ := strings.Cut(strings.TrimPrefix(method, "/etcdserverpb."), "/"); {
	case service == "Lease":
		name = "lease"
	case service == "Watch":
		name = "watch"
	case call == "Range":
		name = "read"
	case call == "Txn":
		name = "transaction"
	case call == "Put", call == "DeleteRange":
		name = "write"
	}
	return slices.Index(operations[:], name)
}

// count counts a request. One that its caller gave up does not count.
func (c *counts) count(method string, err error) {
	switch at := operation(method); {
	case err == nil:
		c.ok[at].Add(1)
	case status.Code(err) != codes.Canceled:
		c.failed[at].Add(1)
	}
}

// note remembers why a request found no connection. etcd's client returns only that the time of the request is over.
func (c *counts) note(err error) {
	if err == nil {
		c.trouble.Store(nil)
		return
	}
	_, quoted, found := strings.Cut(status.Convert(err).Message(), "connection error: desc = ")
	if cause, err := strconv.QuotedPrefix(quoted); found && err == nil {
		cause, _ = strconv.Unquote(cause)
		cause = strings.TrimPrefix(strings.TrimPrefix(cause, "transport: "), "Error while dialing: ")
		c.trouble.Store(&cause)
	}
}

// explain adds to the end of a request's time why there was no connection.
func (c *counts) explain(err error) error {
	cause := c.trouble.Load()
	if cause == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s", err, *cause)
}

// dialOptions count the requests of a client, each attempt of its own. Streams count when they are opened.
func (c *counts) dialOptions() []grpc.DialOption {
	unary := func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, in, out, conn, options...)
		c.count(method, err)
		c.note(err)
		return err
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		opened, err := open(ctx, desc, conn, method, options...)
		c.count(method, err)
		return opened, err
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

// noting remembers why requests of a client find no connection, and does not count them.
func (c *counts) noting() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, in, out, conn, options...)
		c.note(err)
		return err
	})
}

// Stats implements cluster.Store.
func (s *Store) Stats() cluster.StoreStats {
	c := s.counts
	out := cluster.StoreStats{Changes: c.changes.Load(), Writes: c.writes.Load(), Reads: c.reads.Load()}
	for i, name := range operations {
		out.Requests = append(out.Requests, cluster.RequestStats{Operation: name, OK: c.ok[i].Load(), Failed: c.failed[i].Load()})
	}
	return out
}

// mutations returns the number of operations that write.
func mutations(ops []clientv3.Op) (n uint64) {
	for _, op := range ops {
		if op.IsPut() || op.IsDelete() {
			n++
		}
	}
	return n
}
