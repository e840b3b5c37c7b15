module external-issuer.io/mock-pki/tests/clients/ejbca

go 1.26

require github.com/Keyfactor/ejbca-go-client-sdk v1.0.2

require golang.org/x/oauth2 v0.21.0 // indirect
