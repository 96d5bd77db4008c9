#!/usr/bin/perl -T
# Keeps dynos of this node from the ports that dynos of other nodes are reached on: by rules of the kernel's routing, which need no
# firewall. Routers and replies to them are not concerned. Runs in the node's own network, with CAP_NET_ADMIN.
#
# Environment: SLIPWAY_FENCE_BRIDGE (the network of dynos), SLIPWAY_FENCE_PORTS (first-last), SLIPWAY_FENCE_NODES (addresses,
# between spaces).
use strict;
use warnings;
use Socket qw(inet_aton SOCK_RAW);

my ($AF_NETLINK, $NETLINK_ROUTE, $AF_INET, $TCP) = (16, 0, 2, 6);
my ($NEW, $DELETE) = (32, 33);
my ($REQUEST_ACK, $CREATE_ALONE) = (0x5, 0x600);
my ($DESTINATION, $FROM_INTERFACE, $PRIORITY, $PROTOCOL, $PORTS) = (1, 3, 6, 22, 24);
my ($PROHIBIT, $OUR_PRIORITY, $THERE, $AGAIN) = (8, 7446, 17, 2);

sub attribute {
    my ($kind, $value) = @_;
    my $size = 4 + length $value;
    return pack('SS', $size, $kind) . $value . "\0" x (-$size % 4);
}

# Adds the rule against one node's address, or takes it away; returns the kernel's error.
sub rule {
    my ($kernel, $what, $node) = @_;
    my $body = pack('C8L', $AF_INET, 32, 0, 0, 0, 0, 0, $PROHIBIT, 0);
    $body .= attribute($DESTINATION, inet_aton($node)) . attribute($FROM_INTERFACE, "$ENV{SLIPWAY_FENCE_BRIDGE}\0");
    $body .= attribute($PRIORITY, pack 'L', $OUR_PRIORITY) . attribute($PROTOCOL, pack 'C', $TCP);
    $body .= attribute($PORTS, pack 'SS', split /-/, $ENV{SLIPWAY_FENCE_PORTS});
    my $flags = $REQUEST_ACK | ($what == $NEW ? $CREATE_ALONE : 0);
    syswrite $kernel, pack('LSSLL', 16 + length $body, $what, $flags, 1, 0) . $body;
    sysread $kernel, my $answer, 4096;
    return -unpack 'x16l', $answer;
}

$| = 1;
socket(my $kernel, $AF_NETLINK, SOCK_RAW, $NETLINK_ROUTE) or die "no way to the kernel: $!\n";
my @nodes = split ' ', $ENV{SLIPWAY_FENCE_NODES};
$SIG{TERM} = sub { rule($kernel, $DELETE, $_) for @nodes; exit 0 };
my $said = '';
while (1) {    # again and again: another instance, which ends, takes its rules away
    for my $node (@nodes) {
        local $! = rule($kernel, $NEW, $node);
        next if $! == 0 || $! == $THERE;
        print "no fence against $node: $!\n" if $said ne "$!";
        $said = "$!";
    }
    sleep $AGAIN;
}
