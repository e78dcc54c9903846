package remote

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestCredentialsAreBounded(t *testing.T) {
	held := make(chan struct{})
	defer close(held)
	hangs := func(context.Context, string) (auth.Credential, error) { <-held; return auth.Credential{}, nil }
	killed := func(ctx context.Context, _ string) (auth.Credential, error) {
		<-ctx.Done()
		return auth.Credential{}, errors.New("signal: killed")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		d    time.Duration
		find auth.CredentialFunc
		want string
	}{
		{"hangs", t.Context(), time.Millisecond, hangs, "the credential helper has not answered for 1ms"},
		{"is killed", t.Context(), time.Millisecond, killed, "the credential helper has not answered for 1ms"},
		{"is interrupted", ended, time.Hour, hangs, "context canceled"},
		{"fails", t.Context(), time.Hour, func(context.Context, string) (auth.Credential, error) {
			return auth.Credential{}, errors.New("the keychain is locked")
		}, "the keychain is locked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := bounded(test.d, test.find)(test.ctx, "registry.example.com")
			require.EqualError(t, err, test.want)
		})
	}
	found, err := bounded(time.Hour, func(_ context.Context, registry string) (auth.Credential, error) {
		return auth.Credential{Username: registry}, nil
	})(t.Context(), "registry.example.com")
	require.NoError(t, err)
	require.Equal(t, "registry.example.com", found.Username)
}
