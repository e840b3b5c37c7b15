package launch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// Ports are taken below Linux's range for outgoing connections (32768 and up).
// A component that a test killed must find its port free when it starts again,
// and a port of that range could meanwhile serve someone's connection.
const (
	firstPort = 20000
	lastPort  = 32767
)

// ports are the places on 127.0.0.1 of everything that listens.
type ports struct {
	EtcdClient        int `json:"etcdClient"`
	EtcdPeer          int `json:"etcdPeer"`
	APIServer         int `json:"apiServer"`
	ControllerManager int `json:"controllerManager"`
	CertManager       int `json:"certManager"`
}

// choosePorts takes the ports of the state directory's last run if they are all
// free, so that kubeconfigs handed out then stay good, or else fresh ones.
func choosePorts(file string) (ports, error) {
	var chosen ports
	if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &chosen) == nil && chosen.free() {
		return chosen, nil
	}
	chosen = ports{}
	taken := map[int]bool{}
	for _, port := range chosen.all() {
		number, err := freshPort(taken)
		if err != nil {
			return ports{}, err
		}
		*port = number
	}
	return chosen, writeJSON(file, chosen)
}

func (p *ports) all() []*int {
	return []*int{&p.EtcdClient, &p.EtcdPeer, &p.APIServer, &p.ControllerManager, &p.CertManager}
}

func (p *ports) free() bool {
	for _, port := range p.all() {
		if !portFree(*port) {
			return false
		}
	}
	return true
}

func freshPort(taken map[int]bool) (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if !taken[port] && portFree(port) {
			taken[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("found no free port on 127.0.0.1 between %d and %d", firstPort, lastPort)
}

func portFree(port int) bool {
	if port == 0 {
		return false
	}
	listener, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func httpsURL(port int) string { return "https://" + loopback(port) }
