package jetstream

import (
	"context"
	"time"
)

// farewell is how long taking consumers away may take in Close; the server forgets
// those that nobody asks.
const farewell = time.Second

// addConsumer remembers a consumer that the server has.
func (c *Carrier) addConsumer(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.consumers[name] = struct{}{}
}

// dropConsumer forgets one, and takes it away without waiting for it.
func (c *Carrier) dropConsumer(name string) {
	c.mu.Lock()
	_, there := c.consumers[name]
	delete(c.consumers, name)
	c.mu.Unlock()
	if epoch, _ := c.link.now(); there && epoch != nil {
		_ = c.nc.PublishRequest(api+"CONSUMER.DELETE."+c.options.Stream.Name+"."+name, c.nc.NewInbox(), nil)
	}
}

// deleteConsumers takes away what is left: those of histories that somebody is still
// asking. It waits until the server has all that was dropped.
func (c *Carrier) deleteConsumers() {
	c.mu.Lock()
	names := make([]string, 0, len(c.consumers))
	for name := range c.consumers {
		names = append(names, name)
	}
	c.mu.Unlock()
	for _, name := range names {
		c.dropConsumer(name)
	}
	if epoch, _ := c.link.now(); epoch == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = c.nc.FlushWithContext(ctx)
}
