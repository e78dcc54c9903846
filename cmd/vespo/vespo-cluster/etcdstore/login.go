package etcdstore

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// login adds the token of a user to requests. etcd's own client asks for one when it is made, so that it could not be made
// while etcd is away. It is safe for concurrent use.
type login struct {
	user, password string           // immutable
	anonymous      *clientv3.Client // immutable: asks for tokens

	mu    sync.Mutex
	token string // guarded by mu; empty: there is none
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	l.mu.Lock()
	token := l.token
	l.mu.Unlock()
	if token != "" {
		return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
	}
	answer, err := l.anonymous.Authenticate(ctx, l.user, l.password)
	var refused rpctypes.EtcdError
	switch {
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		return nil, nil
	case errors.As(err, &refused):
		return nil, status.Error(codes.Unauthenticated, refused.Error()) // gRPC hides errors with most other codes in one of its own
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = answer.Token
	return map[string]string{rpctypes.TokenFieldNameGRPC: answer.Token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the URL says whether there is TLS.
func (l *login) RequireTransportSecurity() bool { return false }

// forget drops the token if an error says that it is not valid any more, as after a restart of etcd.
func (l *login) forget(err error) bool {
	switch rpctypes.Error(err) {
	case rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.token = ""
		return true
	}
	return false
}

// dialOptions add the token, and try a request again that etcd has refused for an old one.
func (l *login) dialOptions() []grpc.DialOption {
	unary := func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, in, out, conn, options...)
		if err != nil && l.forget(err) {
			err = invoke(ctx, method, in, out, conn, options...)
		}
		return err
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(l), grpc.WithChainUnaryInterceptor(unary)}
}
