package kv

// Quotas bound stores. Zero values select the defaults. Concurrent writes to several stores can exceed the quotas of all
// stores by what they write at that moment.
type Quotas struct {
	StoreBytes int64 // of one store; default 256 MiB
	StoreKeys  int64 // of one store; default 1,000,000
	Bytes      int64 // of all stores; default 1 GiB
	Keys       int64 // of all stores; default 4,000,000
	Stores     int   // default 100
}

// WithDefaults returns the quotas with the defaults in place of zero values.
func (q Quotas) WithDefaults() Quotas {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&q.StoreBytes, 256<<20)
	set(&q.StoreKeys, 1_000_000)
	set(&q.Bytes, 1<<30)
	set(&q.Keys, 4_000_000)
	if q.Stores == 0 {
		q.Stores = 100
	}
	return q
}
