package standin

import "net/http"

func (n *Node) version(*request) answer {
	if n.o.Flavour == Nwaku {
		return n.text(http.StatusOK, "v0.37.0-standin")
	}
	return n.json(http.StatusOK, "0.10.0-standin")
}

func (n *Node) info(*request) answer {
	return n.json(http.StatusOK, map[string]any{"enrUri": "enr:-", "listenAddresses": []string{n.o.Address}})
}

func (n *Node) health(*request) answer {
	if n.o.Flavour == Nwaku {
		return n.json(http.StatusOK, map[string]any{"nodeHealth": "Ready", "protocolsHealth": []any{map[string]string{"Relay": "READY"}}})
	}
	return n.json(http.StatusNotImplemented, "Non RLN healthcheck is not implemented")
}

func (n *Node) peers(*request) answer {
	list := []any{}
	for _, other := range n.net.nodes {
		if other != n {
			list = append(list, map[string]any{
				"id": "16Uiu2", "multiaddrs": []string{other.o.Address}, "protocols": []string{"/vac/waku/relay/2.0.0"}, "connected": true, "pubsubTopics": other.o.Shards,
			})
		}
	}
	return n.json(http.StatusOK, list)
}
