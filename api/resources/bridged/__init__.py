"""What the Heroku CLI asks of hosts whose names are fixed in its code. `bin/cli-bridge` brings these calls here, each
below the name of the host that it was for; rights are those of the API."""
