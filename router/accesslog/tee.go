package accesslog

// Tee returns a listener that passes each record to all listeners, in order. Each must treat the record as
// its own Listener contract says: none keeps or changes it. Nil listeners are ignored.
func Tee(listeners ...Listener) Listener {
	var all []Listener
	for _, l := range listeners {
		if l != nil {
			all = append(all, l)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return func(rec *Record) {
		for _, l := range all {
			l(rec)
		}
	}
}
