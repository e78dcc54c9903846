package deploy

// Stats is a snapshot of a Deployer.
type Stats struct {
	Services    int // with a route
	Starting    int // of these, not prepared yet
	Unavailable int // of these, could not be prepared
	Retiring    int // earlier versions that still have requests
	Changes     int // changes that wait for another one, or for their turn to compile
	Requests    int // requests that wait for their service to start

	ChangesRefused  uint64 // changes beyond Config.MaxWaiters
	RequestsRefused uint64 // requests beyond Config.MaxStartWait, or the queue of their service
	VersionsStopped uint64 // earlier versions that were stopped with requests, by Config.MaxRetired or RetireAfter
}

// Stats returns the current state. It takes time in proportion to the number of services.
func (d *Deployer) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Stats{
		Services:        len(d.live),
		Changes:         int(d.waiters.Load()),
		Requests:        d.awaiting,
		ChangesRefused:  d.acts.changes.Load(),
		RequestsRefused: d.acts.requests.Load(),
		VersionsStopped: d.acts.versions.Load(),
	}
	for _, p := range d.live {
		switch l := p.all[0]; {
		case l.startup != nil:
			s.Starting++
		case l.problem != nil:
			s.Unavailable++
		}
	}
	for _, versions := range d.retired {
		s.Retiring += len(versions)
	}
	return s
}
