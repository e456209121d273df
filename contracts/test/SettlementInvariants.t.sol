// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {SettlementFixture} from "./SettlementFixture.sol";
import {TreeKit} from "./TreeKit.sol";

/// @dev Random life of a settlement: earnings, epochs, vetoes, claims, pushes, deposits, withdrawals, pauses, donations.
contract Handler is SettlementFixture {
    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public debited;
    uint256 public activations;
    uint256 public donated;
    uint256 public paidOut;
    bool public clientAsked;
    uint128 public lastTotal;
    uint128 public accrued;
    TreeKit.Entry[] private active;
    uint256 private clientIndex;
    bool private pendingExists;
    uint64 private pendingEpoch;
    bytes32 private pendingRoot;
    uint128 private pendingDebits;
    uint256 private withdrawals;

    constructor() {
        setUp();
        deposited = 10_000 ether;
        clientIndex = _set(2, client, 0);
        for (uint160 i = 0; i < 20; ++i) {
            _earned(address(0xa11ce000 + i), 0);
        }
    }

    function payee(uint256 i) public pure returns (address) {
        return address(uint160(0xa11ce000 + (i % 20)));
    }

    function closeEpoch(uint256 who, uint64 amount, uint64 dust) external {
        if (pendingExists || _paused()) return;
        uint256 debits = uint256(amount) + dust % 1000;
        if (debits > escrow.held() || clientLeft() < debits) return;
        _earned(payee(who), book[1 + (who % 20)].amount + amount);
        book[clientIndex].amount += uint128(debits);
        (pendingEpoch, pendingRoot) = _propose(uint128(debits));
        pendingDebits = uint128(debits);
        pendingExists = true;
        accrued = amount;
    }

    function clientLeft() public view returns (uint256) {
        return deposited - withdrawn - book[clientIndex].amount - (clientAsked ? _requested() : 0);
    }

    function _requested() private view returns (uint256) {
        (,,, uint128 requested,) = escrow.clients(client);
        return requested;
    }

    function _paused() private view returns (bool) {
        (,,,, uint40 until) = settlement.state();
        return block.timestamp < until;
    }

    function activate() external {
        if (!pendingExists || _paused()) return;
        skip(WINDOW);
        lastTotal = settlement.total();
        settlement.activate(pendingEpoch, pendingRoot);
        debited += pendingDebits;
        activations++;
        pendingExists = false;
        delete active;
        for (uint256 i = 0; i < book.length; ++i) {
            active.push(book[i]);
        }
    }

    function veto(uint8 chance) external {
        if (!pendingExists || chance % 4 != 0) return;
        vm.prank(watcher);
        settlement.veto(pendingEpoch, pendingRoot);
        pendingExists = false;
        if (active.length == 0) {
            for (uint256 i = 0; i < book.length; ++i) {
                book[i].amount = 0;
            }
        } else {
            for (uint256 i = 0; i < book.length; ++i) {
                book[i].amount = active[i].amount;
            }
        }
    }

    function claim(uint256 who) external {
        if (active.length == 0 || _paused()) return;
        uint256 index = 1 + (who % 20);
        if (active[index].amount <= settlement.claimedOf(payee(who))) return;
        bytes32[] memory proof = TreeKit.proof(active, DEPTH, index);
        paidOut += settlement.claim(payee(who), active[index].amount, index, proof);
    }

    function push(uint32 mask) external {
        if (active.length == 0 || _paused()) return;
        bool[] memory due = new bool[](active.length);
        bool any = false;
        for (uint256 i = 1; i < due.length; ++i) {
            due[i] = (mask >> i) & 1 == 1;
            any = any || due[i];
        }
        if (!any) return;
        TreeKit.Batch memory b = TreeKit.batch(active, DEPTH, due);
        (uint256 paid,) = settlement.push(b.plan, b.hashes, b.leaves);
        paidOut += paid;
    }

    function deposit(uint64 amount) external {
        if (amount == 0) return;
        _deposit(client, amount);
        deposited += amount;
    }

    function donate(uint32 amount, bool toEscrow) external {
        token.transfer(toEscrow ? address(escrow) : address(settlement), amount);
        if (!toEscrow) donated += amount;
    }

    function request(uint64 amount) external {
        if (amount == 0 || clientAsked || amount > clientLeft()) return;
        vm.prank(client);
        escrow.requestWithdrawal(amount);
        clientAsked = true;
    }

    function withdraw() external {
        if (!clientAsked || active.length == 0) return;
        skip(EXIT_DELAY);
        uint256 before = token.balanceOf(client);
        bytes32[] memory proof = TreeKit.proof(active, DEPTH, clientIndex);
        vm.prank(client);
        escrow.withdraw(client, false, active[clientIndex].amount, clientIndex, proof);
        withdrawn += token.balanceOf(client) - before;
        clientAsked = false;
    }

    function pause(uint8 chance) external {
        (,,,, uint40 until) = settlement.state();
        if (chance % 8 != 0 || (until != 0 && block.timestamp < uint256(until) + COOLDOWN)) return;
        vm.prank(guardian);
        settlement.pause();
    }

    function pass(uint32 time) external {
        skip(time % 2 days);
    }

    // Views for the invariants.
    function parts() external view returns (uint256 pool, uint256 poolTokens, uint256 chest, uint256 funded, uint256 claimed) {
        return (
            escrow.held(),
            token.balanceOf(address(escrow)),
            token.balanceOf(address(settlement)),
            settlement.funded(),
            settlement.claimedTotal()
        );
    }

    function totals() external view returns (uint128 total, uint64 epoch, uint256 sumOfLeaves, uint256 sumOfClaimed) {
        total = settlement.total();
        (epoch,,,,) = settlement.state();
        for (uint256 i = 0; i < active.length; ++i) {
            if (active[i].kind == 1) sumOfLeaves += active[i].amount;
        }
        for (uint256 i = 0; i < 20; ++i) {
            sumOfClaimed += settlement.claimedOf(payee(i));
        }
    }
}

contract SettlementInvariantsTest is Test {
    Handler private handler;

    function setUp() external {
        handler = new Handler();
        bytes4[] memory chosen = new bytes4[](11);
        chosen[0] = Handler.closeEpoch.selector;
        chosen[1] = Handler.activate.selector;
        chosen[2] = Handler.veto.selector;
        chosen[3] = Handler.claim.selector;
        chosen[4] = Handler.push.selector;
        chosen[5] = Handler.deposit.selector;
        chosen[6] = Handler.donate.selector;
        chosen[7] = Handler.request.selector;
        chosen[8] = Handler.withdraw.selector;
        chosen[9] = Handler.pause.selector;
        chosen[10] = Handler.pass.selector;
        targetSelector(FuzzSelector(address(handler), chosen));
        targetContract(address(handler));
    }

    /// @dev Solvent on both sides, conservation in between, one activation an epoch, totals only rise.
    function invariant_MoneyIsConserved() external view {
        (uint256 pool, uint256 poolTokens, uint256 chest, uint256 funded, uint256 claimed) = handler.parts();
        (uint128 total, uint64 epoch, uint256 sumOfLeaves, uint256 sumOfClaimed) = handler.totals();
        assertLe(pool, poolTokens, "escrow solvent");
        assertEq(pool, handler.deposited() - handler.withdrawn() - handler.debited(), "escrow accounts");
        assertEq(chest, funded - claimed + handler.donated(), "settlement holds what it owes");
        assertEq(funded, handler.debited(), "escrow debits == funding");
        assertLe(total, funded, "total is covered");
        assertLe(claimed, total, "claims within the root");
        assertEq(claimed, handler.paidOut(), "payouts counted");
        assertEq(claimed, sumOfClaimed, "sum of claims");
        assertEq(total, sumOfLeaves, "total is the sum of leaves");
        assertEq(epoch, handler.activations(), "one activation an epoch");
        assertGe(total, handler.lastTotal(), "totals only rise");
    }
}
