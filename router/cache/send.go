package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"time"
)

// offer is an answer to be sent to the engine.
type offer struct {
	entry *entry
	names names
	stamp stamp
}

// errReply is the error of a reply that does not fit its call.
var errReply = errors.New("the engine's reply has another number of values")

// orReply returns err, or errReply if it is nil.
func orReply(err error) error {
	if err == nil {
		return errReply
	}
	return err
}

// offer queues an answer, unless the engine is left alone or the queue is full. The lock of the store may be held.
func (sh *Sharing) offer(o offer) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.away.Load() || o.entry.size > maxShared || sh.queued+o.entry.size > sh.store.limit/queueShare {
		sh.counts.dropped.Add(1)
		return
	}
	sh.queue = append(sh.queue, o)
	sh.queued += o.entry.size
	sh.wake()
}

// want makes the engine have a mark for a service.
func (sh *Sharing) want(service string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.marks[service] = struct{}{}
	sh.wake()
}

// remove makes the answers to a target in the engine unusable, or those of a service if the key is zero. answers are keys that are not needed
// any more. Until the engine knows, this host does not ask it for them.
func (sh *Sharing) remove(service string, key Key, answers []string) {
	r := Removal{
		Mark:   serviceName(service),
		Value:  randomMark(),
		TTL:    serviceLife,
		Notice: notice{host: sh.host, service: service, key: key}.encode(),
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if target := digest("target", service, key.Authority, key.Target); key != (Key{}) && (len(sh.removed) < maxWaiting || len(sh.removed[target].Mark) > 0) {
		r.Mark, r.TTL, r.Delete = target, markLife, answers
	} else if key != (Key{}) {
		r.Notice = notice{host: sh.host, service: service}.encode()
	}
	sh.removed[r.Mark] = r
	sh.wake()
}

func randomMark() []byte {
	b := make([]byte, markBytes)
	_, _ = rand.Read(b) // it never fails
	return b
}

// send sends answers and removals.
func (sh *Sharing) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sh.woken:
		}
		if !sh.gone.Load() {
			sh.sendRemovals(ctx)
			sh.sendMarks(ctx)
		}
		sh.sendAnswers(ctx)
	}
}

// sendRemovals sends all removals. After an error, the others wait for the next reading of the log.
func (sh *Sharing) sendRemovals(ctx context.Context) {
	for {
		batch := sh.takeRemovals()
		if len(batch) == 0 {
			return
		}
		own, cancel := context.WithTimeout(ctx, callTime)
		err := sh.engine.Remove(own, batch)
		cancel()
		if sh.sentRemovals(err == nil); err != nil {
			sh.gone.Store(true)
			sh.fail()
			return
		}
	}
}

func (sh *Sharing) takeRemovals() (batch []Removal) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for mark, r := range sh.removed {
		if len(batch) == batchRemoved {
			break
		}
		batch = append(batch, r)
		sh.sending[mark] = r
		delete(sh.removed, mark)
	}
	return batch
}

// sentRemovals ends the sending of a batch. Removals that failed are sent again, unless there is a later removal.
func (sh *Sharing) sentRemovals(ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for mark, r := range sh.sending {
		if _, later := sh.removed[mark]; !ok && !later {
			sh.removed[mark] = r
		}
	}
	clear(sh.sending)
}

// sendMarks sets the marks of services that the engine lacks. One that fails is asked for again.
func (sh *Sharing) sendMarks(ctx context.Context) {
	sh.mu.Lock()
	services := slices.Collect(maps.Keys(sh.marks))
	clear(sh.marks)
	sh.mu.Unlock()
	records := make([]Record, 0, len(services))
	for _, key := range services {
		records = append(records, Record{Key: key, Value: randomMark(), TTL: serviceLife, New: true})
	}
	if len(records) > 0 && sh.write(ctx, records) != nil {
		sh.fail()
	}
}

func (sh *Sharing) write(ctx context.Context, records []Record) error {
	own, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return sh.engine.Write(own, records)
}

// sendAnswers sends the queue.
func (sh *Sharing) sendAnswers(ctx context.Context) {
	for {
		batch, size := sh.takeAnswers()
		if len(batch) == 0 {
			return
		}
		records, answers := sh.records(batch)
		var err error
		if len(records) > 0 {
			err = sh.write(ctx, records)
		}
		if err != nil {
			sh.fail()
			answers = 0
		}
		sh.counts.written.Add(uint64(answers))
		sh.counts.dropped.Add(uint64(len(batch) - answers))
		sh.mu.Lock()
		sh.queued -= size
		sh.mu.Unlock()
	}
}

func (sh *Sharing) takeAnswers() (batch []offer, size int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := 0
	for n < min(len(sh.queue), batchAnswers) && size < batchBytes {
		size += sh.queue[n].entry.size
		n++
	}
	batch = slices.Clone(sh.queue[:n])
	sh.queue = slices.Delete(sh.queue, 0, n)
	return batch, size
}

// records returns the records of some answers, and for how many answers they are. Answers that are too large or too old have none, and none has one
// if the time of the engine is not known.
func (sh *Sharing) records(batch []offer) (records []Record, answers int) {
	for _, o := range batch {
		e, own := o.entry, time.Now()
		now, ok := sh.now(own)
		age := e.age(own)
		left := min(e.kept()-age, maxLife)
		if sh.away.Load() || !ok || left < time.Millisecond {
			continue
		}
		key := o.names.answers
		if len(e.vary) > 0 {
			key = o.names.selected(e.vary, e.selected)
		}
		value, ok := encodeAnswer(key, e, o.stamp, now.Add(-age))
		if !ok {
			continue
		}
		records = append(records, Record{Key: key, Value: value, TTL: left})
		if len(e.vary) > 0 {
			records = append(records, Record{Key: o.names.answers, Value: encodeRule(o.names.answers, e.vary), TTL: ruleLife})
		}
		answers++
	}
	return records, answers
}
