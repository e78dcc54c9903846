package follow

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// The record with the identity of a catalogue. It is part of the catalogue, so a backup and a copy have it too.
const (
	identityName = "catalogue/identity"
	identityKind = "catalogue"
)

type identity struct {
	ID string `json:"id"`
}

// IdentityOf returns the identity of a catalogue, or "" if it has none yet.
func IdentityOf(s *registry.State) string {
	var id identity
	if json.Unmarshal([]byte(s.Records[identityName].Manifest), &id) != nil {
		return ""
	}
	return id.ID
}

// WithIdentity returns the state with a new identity.
func WithIdentity(s *registry.State) (*registry.State, error) {
	record, err := newIdentity()
	return s.PutRecord(identityName, record), err
}

func newIdentity() (registry.Record, error) {
	manifest, err := registry.EncodeManifest(identity{ID: rand.Text()})
	return registry.Record{Kind: identityKind, Manifest: manifest}, err
}

// Deployer changes the catalogue; *deploy.Deployer implements it.
type Deployer interface {
	Transact(context.Context, []routekey.Key, func(*registry.State) (deploy.Changes, error)) ([]deploy.Result, error)
	Adopt(context.Context, deploy.Adoption) (deploy.Adopted, error)
}

// ensureIdentity adds an identity to the catalogue, unless there is one.
func ensureIdentity(ctx context.Context, d Deployer) error {
	_, err := d.Transact(ctx, nil, func(*registry.State) (deploy.Changes, error) {
		return deploy.Changes{Records: map[string]deploy.Edit{identityName: func(current registry.Record) (registry.Record, error) {
			if !current.Equal(registry.Record{}) {
				return current, nil
			}
			return newIdentity()
		}}}, nil
	})
	return err
}
