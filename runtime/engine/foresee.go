package engine

// Foresee returns a module as it will be once it is compiled and prepared, if both are only a matter of loading: its code and
// its snapshot are on disk, here or on another host. Otherwise it returns nil. Of the snapshot it reads the head. If the rest is damaged, the first Prepare
// initialises the guest. The result only describes itself: it is neither prepared nor closed.
func (e *Engine) Foresee(d *Decoded, o ModuleOptions) *Module {
	known := e.known(d.code, d.size)
	if known == nil || e.code == nil || !e.code.files.Has(known.file) {
		return nil
	}
	m := e.newModule(d, o)
	m.code = &sharedCode{knownCode: *known}
	m.info = d.origin(infoOf(d.separate, known.rewritten))
	if m.check() != nil {
		return nil
	}
	key, ok := m.snapshotKey() // depends on the limit that check has set
	if !ok {
		return nil
	}
	m.fetchSnapshot(key)
	head, err := readHead(func(maxBytes int) ([]byte, bool) { return e.code.files.SnapshotHead(key, maxBytes) })
	if err != nil || m.checkHead(key, &head) != nil {
		return nil // Prepare removes it
	}
	m.repeats = repeatsOf(&head)
	return m
}
