package proxy

import "github.com/vespo-dev/vespo/router/admission"

// Stats is a snapshot of the connections that have switched protocols, of all services.
type Stats struct {
	Tunnels    int
	MaxTunnels int
	Refused    uint64               // requests that found all places taken
	Clients    admission.ShareStats // of clients with a limit of their own
}

// Stats returns the current state.
func (k *Kind) Stats() Stats {
	return Stats{Tunnels: len(k.tunnels.places), MaxTunnels: cap(k.tunnels.places), Refused: k.tunnels.shed.Load(), Clients: k.tunnels.shares.Stats()}
}
