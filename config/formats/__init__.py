"""How the operators’ site writes dates and times; pages say how themselves."""
