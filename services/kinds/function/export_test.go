package function

import "github.com/vespo-dev/vespo/services"

// Crashes returns how often the programs of a function have crashed since one last worked.
func Crashes(d services.Deployment) int {
	p := d.(*deployment).backend.(*processes)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashes
}
