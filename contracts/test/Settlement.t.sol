// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Settlement} from "../src/Settlement.sol";
import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {SettlementFixture} from "./SettlementFixture.sol";

contract SettlementEpochTest is SettlementFixture {
    function _proposeRaw(uint64 epoch, bytes32 prev, bytes32 root, uint128 total, uint128 debits) private {
        vm.prank(settler);
        settlement.propose(epoch, prev, root, total, RECEIPTS, DATA, debits);
    }

    function test_EpochsMoveRootsAndMoney() external {
        _earned(alice, 60 ether);
        _set(2, client, 100 ether);
        _earned(bob, 40 ether);
        bytes32 first = _root();
        vm.expectEmit(address(settlement));
        emit ISettlement.Proposed(1, first, 0, 100 ether, 100 ether, RECEIPTS, DATA, block.timestamp + WINDOW);
        _propose(100 ether);
        assertEq(settlement.currentRoot(), 0, "not active yet");
        assertEq(token.balanceOf(address(settlement)), 0);

        skip(WINDOW);
        vm.expectEmit(address(settlement));
        emit ISettlement.Activated(1, first, 100 ether, 100 ether);
        settlement.activate(1, first);
        (bytes32 root, uint256 proposedAt) = settlement.current();
        assertEq(root, first);
        assertEq(proposedAt, block.timestamp - WINDOW);
        assertEq(token.balanceOf(address(settlement)), 100 ether);
        assertEq(escrow.held(), 9_900 ether);
        assertEq(settlement.total(), 100 ether);
        assertEq(settlement.funded(), 100 ether);
        (bytes32 r, bytes32 receipts, bytes32 data) = settlement.epochs(1);
        assertEq(r, first);
        assertEq(receipts, RECEIPTS);
        assertEq(data, DATA);

        _earned(bob, 50 ether);
        _settle(10 ether);
        assertEq(_nextEpoch(), 3);
        assertEq(settlement.total(), 110 ether);
        assertEq(token.balanceOf(address(settlement)), 110 ether);
    }

    function test_DebitsMayExceedTheRise() external {
        _earned(alice, 5 ether);
        _settle(8 ether); // 3 accrue for payees without an address
        _earned(alice, 8 ether);
        _settle(0);
        assertEq(settlement.total(), 8 ether);
        assertEq(settlement.funded(), 8 ether);
    }

    function test_RevertWhen_ProposerHasNoKey() external {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettler.selector, address(this)));
        settlement.propose(1, 0, DATA, 0, RECEIPTS, DATA, 0);
    }

    function test_SettlerKeyRange() external {
        address next = makeAddr("next");
        uint64 from = uint64(block.timestamp + 100);
        vm.startPrank(admin);
        settlement.setSettlerKey(next, from, from + 100);
        settlement.setSettlerKey(settler, uint64(block.timestamp), from);
        vm.stopPrank();
        vm.prank(next);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettler.selector, next));
        settlement.propose(1, 0, DATA, 0, RECEIPTS, DATA, 0);
        vm.warp(from);
        vm.prank(settler);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettler.selector, settler));
        settlement.propose(1, 0, DATA, 0, RECEIPTS, DATA, 0);
        vm.prank(next);
        settlement.propose(1, 0, DATA, 0, RECEIPTS, DATA, 0);
        vm.warp(from + 100);
        vm.prank(next);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettler.selector, next));
        settlement.propose(2, DATA, DATA, 0, RECEIPTS, DATA, 0);
    }

    function test_RevertWhen_KeyRangeInvalid() external {
        vm.startPrank(admin);
        vm.expectRevert(ISettlement.KeyRangeInvalid.selector);
        settlement.setSettlerKey(bob, 5, 5);
        vm.expectRevert(ISettlement.ZeroAddress.selector);
        settlement.setSettlerKey(address(0), 5, 6);
    }

    function test_RevertWhen_PendingExists() external {
        _propose(0);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PendingExists.selector, 1));
        _proposeRaw(1, 0, DATA, 0, 0);
    }

    function test_RevertWhen_EpochNotNext() external {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 1, 2));
        _proposeRaw(2, 0, DATA, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 1, 0));
        _proposeRaw(0, 0, DATA, 0, 0);
    }

    function test_RevertWhen_ProposalIsResent() external {
        _earned(alice, 1 ether);
        _settle();
        bytes32 root = _root();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 2, 1));
        _proposeRaw(1, 0, root, 1 ether, 1 ether);
    }

    function test_RevertWhen_PreviousRootDiffers() external {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongPreviousRoot.selector, bytes32(0), DATA));
        _proposeRaw(1, DATA, DATA, 0, 0);
    }

    function test_RevertWhen_AnyRootIsZero() external {
        vm.startPrank(settler);
        vm.expectRevert(ISettlement.ZeroRoot.selector);
        settlement.propose(1, 0, 0, 0, RECEIPTS, DATA, 0);
        vm.expectRevert(ISettlement.ZeroRoot.selector);
        settlement.propose(1, 0, DATA, 0, 0, DATA, 0);
        vm.expectRevert(ISettlement.ZeroRoot.selector);
        settlement.propose(1, 0, DATA, 0, RECEIPTS, 0, 0);
    }

    function test_RevertWhen_TotalFalls() external {
        _earned(alice, 5 ether);
        _settle();
        bytes32 root = _root();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TotalLowered.selector, 5 ether, 5 ether - 1));
        _proposeRaw(2, root, DATA, 5 ether - 1, 0);
    }

    function test_RevertWhen_EpochTooLarge() external {
        uint256 over = uint256(MAX_PER_EPOCH) + 1;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.EpochTooLarge.selector, over, MAX_PER_EPOCH));
        _proposeRaw(1, 0, DATA, uint128(over), MAX_PER_EPOCH);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.EpochTooLarge.selector, over, MAX_PER_EPOCH));
        _proposeRaw(1, 0, DATA, MAX_PER_EPOCH, uint128(over));
        _proposeRaw(1, 0, DATA, MAX_PER_EPOCH, MAX_PER_EPOCH);
    }

    function test_RevertWhen_TotalIsNotCoveredByDebits() external {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Underfunded.selector, 5 ether, 5 ether - 1));
        _proposeRaw(1, 0, DATA, 5 ether, 5 ether - 1);
    }

    function test_RevertWhen_EscrowHoldsLess() external {
        _build(token, false);
        _deposit(client, 3 ether);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.FundingShort.selector, 4 ether, 3 ether));
        _proposeRaw(1, 0, DATA, 4 ether, 4 ether);
    }

    function test_RevertWhen_ActivatedInWindow() external {
        (uint64 epoch, bytes32 root) = _propose(0);
        skip(WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WindowOpen.selector, block.timestamp + 1));
        settlement.activate(epoch, root);
        skip(1);
        settlement.activate(epoch, root);
    }

    function test_WindowOfPendingEpochIsFixed() external {
        (uint64 epoch, bytes32 root) = _propose(0);
        ISettlement.Limits memory limits = _limits();
        limits.windowSeconds = 0;
        vm.prank(admin);
        settlement.setLimits(limits);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WindowOpen.selector, block.timestamp + WINDOW));
        settlement.activate(epoch, root);
        skip(WINDOW);
        settlement.activate(epoch, root);
        (epoch, root) = _propose(0);
        settlement.activate(epoch, root); // the next one has the new window
    }

    function test_RevertWhen_NothingPending() external {
        vm.expectRevert(ISettlement.NothingPending.selector);
        settlement.activate(1, DATA);
        vm.prank(watcher);
        vm.expectRevert(ISettlement.NothingPending.selector);
        settlement.veto(1, DATA);
    }

    function test_RevertWhen_ActivatedTwice() external {
        _earned(alice, 1 ether);
        (uint64 epoch, bytes32 root) = _propose(1 ether);
        skip(WINDOW);
        settlement.activate(epoch, root);
        vm.expectRevert(ISettlement.NothingPending.selector);
        settlement.activate(epoch, root);
        assertEq(token.balanceOf(address(settlement)), 1 ether);
    }

    function test_RevertWhen_ActivatingAnotherRootOrEpoch() external {
        (uint64 epoch, bytes32 root) = _propose(0);
        skip(WINDOW);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongRoot.selector, root, DATA));
        settlement.activate(epoch, DATA);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 1, 2));
        settlement.activate(2, root);
    }

    function test_VetoDropsTheRootAndAllowsAnother() external {
        _earned(alice, 7 ether);
        (uint64 epoch, bytes32 root) = _propose(7 ether);
        skip(WINDOW); // still possible after the window, until someone activates
        vm.expectEmit(address(settlement));
        emit ISettlement.Vetoed(epoch, root, watcher);
        vm.prank(watcher);
        settlement.veto(epoch, root);
        vm.expectRevert(ISettlement.NothingPending.selector);
        settlement.activate(epoch, root);
        (bytes32 stored,,) = settlement.epochs(epoch);
        assertEq(stored, 0);
        _earned(alice, 6 ether);
        _settle();
        assertEq(settlement.total(), 6 ether);
        assertEq(settlement.currentRoot(), _root());
    }

    function test_RevertWhen_VetoedByOthers() external {
        (uint64 epoch, bytes32 root) = _propose(0);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotVetoer.selector, address(this)));
        settlement.veto(epoch, root);
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongRoot.selector, root, DATA));
        settlement.veto(epoch, DATA);
        settlement.veto(epoch, root);
    }

    function test_AdminReplacesAGuardian() external {
        bytes32 role = settlement.GUARDIAN_ROLE();
        vm.prank(admin);
        settlement.revokeRole(role, guardian);
        (uint64 epoch, bytes32 root) = _propose(0);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotVetoer.selector, guardian));
        settlement.veto(epoch, root);
    }

    function test_PauseStopsEpochsAndEnds() external {
        (uint64 epoch, bytes32 root) = _propose(0);
        skip(WINDOW);
        vm.prank(guardian);
        settlement.pause();
        uint256 until = block.timestamp + MAX_PAUSE;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.IsPaused.selector, until));
        settlement.activate(epoch, root);
        vm.prank(watcher);
        settlement.veto(epoch, root); // a veto works in a pause
        vm.expectRevert(abi.encodeWithSelector(ISettlement.IsPaused.selector, until));
        _proposeRaw(1, 0, DATA, 0, 0);
        vm.warp(until);
        _settle();
    }

    function test_PauseHasACooldown() external {
        uint256 start = block.timestamp;
        vm.startPrank(guardian);
        settlement.pause();
        uint256 again = start + MAX_PAUSE + COOLDOWN;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PauseCoolingDown.selector, again));
        settlement.pause(); // cannot be prolonged
        vm.warp(again - 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PauseCoolingDown.selector, again));
        settlement.pause();
        vm.warp(again);
        settlement.pause();
    }

    function test_UnpauseEarly() external {
        vm.prank(guardian);
        settlement.pause();
        vm.expectRevert();
        settlement.unpause();
        vm.prank(admin);
        settlement.unpause();
        _propose(0);
        vm.startPrank(guardian);
        vm.expectRevert(ISettlement.NotPaused.selector);
        settlement.unpause();
        uint256 again = block.timestamp + COOLDOWN;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PauseCoolingDown.selector, again));
        settlement.pause();
        vm.warp(again);
        settlement.pause();
        settlement.unpause();
    }

    function test_RevertWhen_RoleIsMissing() external {
        bytes32 adminRole = settlement.DEFAULT_ADMIN_ROLE();
        _expectMissing(adminRole);
        settlement.setSettlerKey(bob, 1, 2);
        _expectMissing(adminRole);
        settlement.setLimits(_limits());
        _expectMissing(settlement.GUARDIAN_ROLE());
        settlement.pause();
        _expectMissing(settlement.TREASURER_ROLE());
        settlement.sweepSurplus(bob);
    }

    function _expectMissing(bytes32 role) private {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), role)
        );
    }

    function test_RevertWhen_LimitsInvalid() external {
        ISettlement.Limits memory limits = _limits();
        vm.startPrank(admin);
        limits.maxPerEpoch = 0;
        vm.expectRevert(ISettlement.LimitsInvalid.selector);
        settlement.setLimits(limits);
        limits = _limits();
        limits.outflowCap = 0;
        vm.expectRevert(ISettlement.LimitsInvalid.selector);
        settlement.setLimits(limits);
    }

    function test_SweepTakesOnlyWhatNoEpochFunded() external {
        _earned(alice, 5 ether);
        _settle(8 ether);
        vm.prank(treasurer);
        vm.expectRevert(ISettlement.NoSurplus.selector);
        settlement.sweepSurplus(treasurer);
        token.transfer(address(settlement), 2 ether);
        vm.startPrank(treasurer);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.RecipientInvalid.selector, address(0)));
        settlement.sweepSurplus(address(0));
        assertEq(settlement.sweepSurplus(treasurer), 2 ether);
        assertEq(token.balanceOf(treasurer), 2 ether);
        assertEq(token.balanceOf(address(settlement)), 8 ether);
    }

    function test_RevertWhen_SetupInvalid() external {
        Settlement.Setup memory setup = _setup(IERC20(address(0xdead)), false);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TokenWithoutCode.selector, address(0xdead)));
        new Settlement(setup);
        setup = _setup(token, false);
        setup.outflowPeriod = 0;
        vm.expectRevert(ISettlement.LimitsInvalid.selector);
        new Settlement(setup);
        for (uint256 i = 0; i < 5; ++i) {
            setup = _setup(token, false);
            if (i == 0) setup.admin = address(0);
            if (i == 1) setup.watcher = address(0);
            if (i == 2) setup.guardian = address(0);
            if (i == 3) setup.treasurer = address(0);
            if (i == 4) setup.settler = address(0);
            vm.expectRevert(ISettlement.ZeroAddress.selector);
            new Settlement(setup);
        }
    }
}
