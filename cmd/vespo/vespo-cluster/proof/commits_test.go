package proof

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/history"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

const catalogueKeys = "/proof/catalogue/"

// commits reads all commits that etcd has ever made: it keeps every revision, as nothing compacts it.
func commits(t *testing.T, client *clientv3.Client, contents map[registry.Digest]string) (all []history.Commit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	head, err := client.Get(ctx, catalogueKeys+"generation")
	require.NoError(t, err)
	require.Len(t, head.Kvs, 1)
	last := head.Kvs[0].ModRevision
	revision, generation := int64(0), int64(0)
	var changes []history.Commit // of revision
	end := func() {
		for _, c := range changes {
			c.Generation = generation
			all = append(all, c)
		}
		changes = nil
	}
	for answer := range client.Watch(ctx, catalogueKeys, clientv3.WithPrefix(), clientv3.WithRev(1)) {
		require.NoError(t, answer.Err())
		for _, event := range answer.Events {
			if event.Kv.ModRevision != revision {
				end()
				revision = event.Kv.ModRevision
			}
			key := strings.TrimPrefix(string(event.Kv.Key), catalogueKeys)
			if service, ok := strings.CutPrefix(key, "service"); ok {
				service = strings.TrimLeft(service, "/")
				changes = append(changes, history.Commit{Service: service, Content: contentOf(t, event.Kv.Value, contents)})
			} else if key == "generation" {
				var head struct{ Generation int64 }
				require.NoError(t, json.Unmarshal(open(t, event.Kv.Value), &head))
				generation = head.Generation
			}
		}
		if revision >= last {
			end()
			return all
		}
	}
	require.Fail(t, "etcd does not have all revisions")
	return nil
}

// open returns the content of a value.
func open(t *testing.T, value []byte) []byte {
	t.Helper()
	if packed, err := gzip.NewReader(bytes.NewReader(value)); err == nil { // a long history
		value, err = io.ReadAll(packed)
		require.NoError(t, err)
	}
	var envelope struct{ Content json.RawMessage }
	require.NoError(t, json.Unmarshal(value, &envelope))
	return envelope.Content
}

// contentOf returns what the current version of a service serves; empty if it is removed.
func contentOf(t *testing.T, value []byte, contents map[registry.Digest]string) string {
	t.Helper()
	if len(value) == 0 {
		return ""
	}
	service, err := filestore.DecodeService(open(t, value))
	require.NoError(t, err)
	for _, b := range service.Current.Blobs {
		return contents[b.Digest]
	}
	_, rest, _ := strings.Cut(string(service.Current.Manifest), `"redirect":"`+site)
	content, _, _ := strings.Cut(rest, `"`)
	return content
}
