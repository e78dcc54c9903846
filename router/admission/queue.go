package admission

// waiter is one request in a queue.
type waiter struct {
	ready      chan struct{} // closed when granted; nil until the request has to wait
	granted    bool          // guarded by Gate.mu
	place      *Place        // of a limiter; set when granted
	next, prev *waiter       // guarded by Gate.mu
}

// queue is a FIFO from which any waiter can be removed in constant time. The zero queue is empty.
type queue struct {
	head, tail *waiter
	length     int
}

func (q *queue) push(w *waiter) {
	w.prev = q.tail
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.length++
}

// pop removes and returns the oldest waiter, nil if there is none.
func (q *queue) pop() *waiter {
	w := q.head
	if w != nil {
		q.remove(w)
	}
	return w
}

// remove removes a waiter, which must be in q.
func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev = nil, nil
	q.length--
}

// ring is a list of limiters that take turns in the order of their insertion.
type ring struct {
	root Limiter // sentinel before the first and after the last
}

func newRing() *ring {
	r := &ring{}
	r.root.next, r.root.prev = &r.root, &r.root
	return r
}

func (r *ring) push(l *Limiter) {
	last := r.root.prev
	l.prev, l.next = last, &r.root
	last.next, r.root.prev = l, l
}

func (r *ring) empty() bool { return r.root.next == &r.root }

// first returns the limiter whose turn it is, nil if there is none.
func (r *ring) first() *Limiter {
	if r.empty() {
		return nil
	}
	return r.root.next
}

// pop removes and returns the limiter whose turn it is, nil if there is none.
func (r *ring) pop() *Limiter {
	l := r.root.next
	if l == &r.root {
		return nil
	}
	r.remove(l)
	return l
}

// remove removes a limiter, which must be in r.
func (r *ring) remove(l *Limiter) {
	l.prev.next, l.next.prev = l.next, l.prev
	l.next, l.prev = nil, nil
}
