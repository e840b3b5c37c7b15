//! Request bodies in Kubernetes' protobuf encoding, decoded into JSON.
