package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster/travel"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// blobPath is where the peer listener has the blobs, as a peer.Fetcher asks for them.
const blobPath = "/services/blob"

// pushTime bounds the transfer of a blob to one host.
const pushTime = 2 * time.Minute

// peerHost is another host. It is replaced when the host announces another certificate or token.
type peerHost struct {
	member  Member
	host    *peer.Host
	http    *http.Client
	forward *forward.Peer
}

// blobs is the blob store of a host among others: Put stores on two hosts, and Get fetches.
type blobs struct {
	*peer.Store
	node *Node
}

// Blobs returns the blob store of this host, over the local one.
func (n *Node) Blobs(local registry.BlobStore) registry.BlobStore {
	n.local, n.fetching = local, n.fetcher.Over(local)
	return &blobs{Store: n.fetching, node: n}
}

// Get returns a blob, and fetches it if it is not here. A blob that no host sends is missing.
func (b *blobs) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	blob, err := b.Store.Get(ctx, d)
	if err == nil || ctx.Err() != nil || errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt) || errors.Is(err, registry.ErrDigest) {
		return blob, err
	}
	return nil, fmt.Errorf("%w: %w", registry.ErrBlobMissing, err)
}

// Put stores a blob here, and in the object store or on another host, if there is one.
func (b *blobs) Put(ctx context.Context, d registry.Digest, blob []byte) error {
	if err := b.Store.Put(ctx, d, blob); err != nil {
		return err
	}
	if b.node.cfg.Objects != nil {
		return b.node.upload(ctx, d, blob)
	}
	return b.node.replicate(ctx, d, blob)
}

// replicate sends a blob to the first other host that takes it.
func (n *Node) replicate(ctx context.Context, d registry.Digest, blob []byte) error {
	members, err := n.others(ctx)
	if err != nil {
		return unreachable(n.store, err)
	}
	if len(members) == 0 {
		if !n.alone.Swap(true) {
			n.log.Warn("this is the only host of the catalogue: modules are on this machine alone until another host is there", "store", n.store.String())
		}
		return nil
	}
	n.alone.Store(false)
	var failed []string
	for _, m := range members {
		err := n.push(ctx, m, d, blob)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.log.Warn("another host did not take a module", "host", m.Address, "digest", d, "error", err)
		failed = append(failed, m.Address)
	}
	return problem.New(problem.NotReady, "no other host of the catalogue has taken the module ("+strings.Join(failed, ", ")+
		"); nothing was changed. A host that has failed counts for some seconds more; try again").WithCause(errNoSecondHost)
}

var errNoSecondHost = errors.New("a blob is on one host alone")

// unreachable returns err as a *registry.UnreachableError.
func unreachable(s Store, err error) error {
	var known *registry.UnreachableError
	if errors.As(err, &known) {
		return err
	}
	return &registry.UnreachableError{Store: s.String(), Err: err}
}

// push sends a blob to a host, which holds it until it is part of the catalogue, or for holdTime.
func (n *Node) push(ctx context.Context, m Member, d registry.Digest, blob []byte) error {
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	to, err := n.hostOf(m)
	if err != nil {
		return err
	}
	if has, err := to.send(ctx, http.MethodPost, d, nil); err == nil && has == http.StatusNoContent {
		return nil
	}
	status, err := to.send(ctx, http.MethodPut, d, blob)
	if err == nil && status != http.StatusNoContent {
		err = fmt.Errorf("it answered %d %s", status, http.StatusText(status))
	}
	return err
}

// send sends a request for a blob, and returns the status of the response.
func (p *peerHost) send(ctx context.Context, method string, d registry.Digest, body []byte) (status int, err error) {
	target := "https://" + p.member.Address + blobPath + "?" + url.Values{"digest": {string(d)}}.Encode()
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+p.member.Token)
	resp, err := p.http.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	return resp.StatusCode, nil
}

// sources returns the other hosts, for the fetcher. The order is random: a new host asks all of them alike.
func (n *Node) sources() (all []*peer.Host) {
	for _, m := range n.known() {
		if p, err := n.hostOf(m); err == nil {
			all = append(all, p.host)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Fetcher returns what fetches blobs from the other hosts.
func (n *Node) Fetcher() *peer.Fetcher { return n.fetcher }

// codeSources returns the other hosts that send compiled code, in a random order.
func (n *Node) codeSources() (all []travel.Host) {
	for _, m := range n.known() {
		key := travel.ParseKey(m.Key)
		if key == nil || m.Likeness == "" {
			continue
		}
		if p, err := n.hostOf(m); err == nil {
			all = append(all, travel.Host{Host: p.host, Key: key, Likeness: m.Likeness})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// warm gets the compiled code of modules before their blobs: a service with it starts without.
func (n *Node) warm(ctx context.Context, modules []registry.Digest) {
	if n.code == nil {
		return
	}
	var sums [][32]byte
	for _, d := range modules {
		if sum, err := hex.DecodeString(d.Hex()); err == nil && len(sum) == 32 {
			sums = append(sums, [32]byte(sum))
		}
	}
	n.code.Warm(ctx, sums)
}

// collectAttempts bounds how often the blobs of a state are tried in advance.
const collectAttempts = 5

// Collect fetches the blobs that each state of the catalogue serves, before services need them, until ctx ends. What it
// cannot fetch is fetched when it is needed.
func (n *Node) Collect(ctx context.Context, catalogue *registry.Registry) {
	known := make(map[registry.Digest]struct{})
	for state := range catalogue.Watch(ctx) {
		live := state.LiveBlobs()
		fresh := slices.DeleteFunc(slices.Clone(live), func(d registry.Digest) bool { _, ok := known[d]; return ok })
		clear(known)
		for _, d := range live {
			known[d] = struct{}{}
		}
		n.warm(ctx, fresh)
		for fails := 1; len(fresh) > 0 && ctx.Err() == nil; fails++ {
			err := n.fetching.Prefetch(ctx, fresh)
			if err == nil || fails == collectAttempts {
				break
			}
			n.log.Debug("modules could not be fetched in advance", "generation", state.Generation, "error", err)
			peer.Sleep(ctx, peer.Pause(fails))
		}
	}
}

// hostOf returns the client of a host.
func (n *Node) hostOf(m Member) (*peerHost, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	have := n.hosts[m.Address]
	if have != nil && have.member.Certificate == m.Certificate && have.member.Token == m.Token {
		return have, nil
	}
	host, err := peer.NewHost(peer.HostConfig{URL: "https://" + m.Address, Token: m.Token, TLS: pinned(m.Certificate)})
	if err != nil {
		return nil, err
	}
	if have != nil {
		have.close()
	}
	transport := &http.Transport{
		TLSClientConfig:       pinned(m.Certificate),
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: pushTime,
		IdleConnTimeout:       time.Minute,
		DialContext:           dialer().DialContext,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p := &peerHost{
		member:  m,
		host:    host,
		http:    client,
		forward: forward.NewPeer(forward.PeerConfig{Address: m.Address, Token: m.Token, TLS: pinned(m.Certificate)}),
	}
	n.hosts[m.Address] = p
	return p, nil
}

// forgetHosts closes the clients of hosts that are not there any more, and not remembered either. Requests in progress go on.
func (n *Node) forgetHosts(there []Member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for address, p := range n.hosts {
		lost := slices.ContainsFunc(n.lost, func(h lostHost) bool { return h.Address == address })
		if !lost && !slices.ContainsFunc(there, func(m Member) bool { return m.Address == address }) {
			p.close()
			delete(n.hosts, address)
		}
	}
}

func (p *peerHost) close() {
	p.host.Close()
	p.http.CloseIdleConnections()
	p.forward.Close()
}
