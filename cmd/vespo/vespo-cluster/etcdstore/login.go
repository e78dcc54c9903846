package etcdstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// login adds the token of a user to requests. etcd's own client asks for one when it is made, so that it could not be made
// while etcd is away. It is safe for concurrent use.
type login struct {
	user, password string           // immutable
	anonymous      *clientv3.Client // immutable: asks for tokens
	timeout        time.Duration    // immutable; of a question for a token
	asking         singleflight.Group

	mu    sync.Mutex
	token string // guarded by mu; empty: there is none
}

// sentKey is the key of a context's value with the token of a request.
type sentKey struct{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := l.current(ctx)
	if err != nil || token == "" {
		return nil, err
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Pointer[string]); ok {
		sent.Store(&token)
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
}

// current returns the token, or asks for one: once for all requests that wait for it. It is empty if etcd needs none.
func (l *login) current(ctx context.Context) (string, error) {
	if token := l.known(); token != "" {
		return token, nil
	}
	asked := l.asking.DoChan("", func() (any, error) {
		if token := l.known(); token != "" { // of a question that ended meanwhile
			return token, nil
		}
		// Others wait for the answer, too. It comes before the end of the request that asks, as it has the reason of a failure.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout*3/4)
		defer cancel()
		return l.ask(ctx)
	})
	select {
	case answer := <-asked:
		token, _ := answer.Val.(string)
		return token, answer.Err
	case <-ctx.Done():
		return "", status.FromContextError(ctx.Err()).Err()
	}
}

func (l *login) known() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// ask asks etcd for a token.
func (l *login) ask(ctx context.Context) (string, error) {
	answer, err := l.anonymous.Authenticate(ctx, l.user, l.password)
	var refused rpctypes.EtcdError
	switch {
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		return "", nil
	case errors.As(err, &refused):
		return "", status.Error(codes.Unauthenticated, refused.Error()) // gRPC hides errors with most other codes in one of its own
	case err != nil:
		return "", status.Error(codes.Unavailable, err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = answer.Token
	return answer.Token, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the URL says whether there is TLS.
func (l *login) RequireTransportSecurity() bool { return false }

// forget reports whether an error says that the token of a request is not valid any more, as after a restart of etcd. It drops
// that token, but not a newer one.
func (l *login) forget(err error, sent *string) bool {
	switch rpctypes.Error(err) {
	case rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty:
		l.mu.Lock()
		defer l.mu.Unlock()
		if sent != nil && l.token == *sent {
			l.token = ""
		}
		return true
	}
	return false
}

// dialOptions add the token, and try a request again that etcd has refused for an old one.
func (l *login) dialOptions() []grpc.DialOption {
	unary := func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		var sent atomic.Pointer[string]
		ctx = context.WithValue(ctx, sentKey{}, &sent)
		err := invoke(ctx, method, in, out, conn, options...)
		if err != nil && l.forget(err, sent.Load()) {
			err = invoke(ctx, method, in, out, conn, options...)
		}
		return err
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(l), grpc.WithChainUnaryInterceptor(unary)}
}
