"""The distribution API: registries we talk to.

Start at `client.RegistryClient`; a `Repository` is one repository over the endpoint that answers.
"""
