package function

import "github.com/vespo-dev/vespo/services"

// Held returns the bytes that are held for requests.
func (k *Kind) Held() int64 { return k.cfg.HeldBytes - k.budget.Left() }

// Endpoints returns the number of prefixes with a Runtime API.
func (k *Kind) Endpoints() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.endpoints)
}

// Crashes returns how often the programs of a function have crashed since one last worked.
func Crashes(d services.Deployment) int {
	p := d.(*deployment).backend.(*processes)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashes
}
