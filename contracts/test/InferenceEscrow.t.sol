// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {InferenceEscrow} from "../src/InferenceEscrow.sol";
import {WrappedOpen} from "../src/WrappedOpen.sol";
import {IInferenceEscrow} from "../src/interfaces/IInferenceEscrow.sol";
import {SettlementFixture} from "./SettlementFixture.sol";

contract InferenceEscrowTest is SettlementFixture {
    function test_DepositCreditsTheClient() external {
        token.approve(address(escrow), 5 ether);
        vm.expectEmit(address(escrow));
        emit IInferenceEscrow.Deposited(bob, address(this), 5 ether, 5 ether);
        escrow.deposit(bob, 5 ether);
        assertEq(escrow.availableOf(bob), 5 ether);
        assertEq(escrow.held(), 10_005 ether);
    }

    function test_RevertWhen_DepositIsEmptyOrForNobody() external {
        vm.expectRevert(IInferenceEscrow.ZeroAmount.selector);
        escrow.deposit(bob, 0);
        token.approve(address(escrow), 1);
        vm.expectRevert(IInferenceEscrow.ZeroClient.selector);
        escrow.deposit(address(0), 1);
    }

    function _permit(uint256 amount, uint256 deadline) private view returns (uint8 v, bytes32 r, bytes32 s) {
        IERC20Permit p = IERC20Permit(address(token));
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 content = keccak256(abi.encode(typehash, alice, address(escrow), amount, p.nonces(alice), deadline));
        return vm.sign(aliceKey, keccak256(abi.encodePacked(hex"1901", p.DOMAIN_SEPARATOR(), content)));
    }

    function test_DepositWithPermit() external {
        token.transfer(alice, 9 ether);
        uint256 deadline = block.timestamp;
        (uint8 v, bytes32 r, bytes32 s) = _permit(9 ether, deadline);
        vm.prank(alice);
        escrow.depositWithPermit(9 ether, deadline, v, r, s);
        assertEq(escrow.availableOf(alice), 9 ether);
    }

    function test_PermitUsedByAFrontRunnerIsNoFailure() external {
        token.transfer(alice, 9 ether);
        uint256 deadline = block.timestamp;
        (uint8 v, bytes32 r, bytes32 s) = _permit(9 ether, deadline);
        IERC20Permit(address(token)).permit(alice, address(escrow), 9 ether, deadline, v, r, s);
        vm.prank(alice);
        escrow.depositWithPermit(9 ether, deadline, v, r, s);
        assertEq(escrow.availableOf(alice), 9 ether);
    }

    function test_RevertWhen_PermitOfAnotherIsUsed() external {
        token.transfer(alice, 9 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(9 ether, block.timestamp);
        vm.prank(bob);
        vm.expectRevert();
        escrow.depositWithPermit(9 ether, block.timestamp, v, r, s);
        assertEq(token.balanceOf(alice), 9 ether);
    }

    function test_RevertWhen_NativeOnAPlainToken() external {
        vm.expectRevert(IInferenceEscrow.NotNative.selector);
        escrow.depositNative{value: 1}(bob);
        vm.expectRevert(IInferenceEscrow.OnlyToken.selector);
        payable(address(escrow)).transfer(1);
    }

    function test_RevertWhen_FundIsCalledByOthers() external {
        vm.expectRevert(IInferenceEscrow.OnlySettlement.selector);
        escrow.fund(1);
    }

    function test_RevertWhen_FundExceedsThePool() external {
        vm.prank(address(settlement));
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.EscrowShort.selector, 10_001 ether, 10_000 ether));
        escrow.fund(10_001 ether);
    }

    function test_DonationsAreNotPool() external {
        token.transfer(address(escrow), 5 ether);
        assertEq(escrow.held(), 10_000 ether);
        vm.prank(address(settlement));
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.EscrowShort.selector, 10_001 ether, 10_000 ether));
        escrow.fund(10_001 ether);
    }

    function test_RevertWhen_DelaysInvalid() external {
        vm.expectRevert(IInferenceEscrow.DelaysInvalid.selector);
        new InferenceEscrow(token, false, 2, 1);
    }

    function _request(uint256 amount) private {
        vm.prank(client);
        escrow.requestWithdrawal(amount);
    }

    function test_WithdrawAfterDelayAndEpoch() external {
        vm.expectEmit(address(escrow));
        emit IInferenceEscrow.WithdrawalRequested(
            client, 10_000 ether, block.timestamp + WITHDRAWAL_DELAY, block.timestamp + EXIT_DELAY
        );
        _request(10_000 ether);
        uint256 start = block.timestamp;
        _earned(alice, 300 ether);
        uint256 index = _set(2, client, 300 ether);
        _settle();
        bytes32[] memory proof = _proof(index);
        vm.startPrank(client);
        vm.warp(start + WITHDRAWAL_DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NotReady.selector, start + WITHDRAWAL_DELAY));
        escrow.withdraw(bob, false, 300 ether, index, proof);
        vm.warp(start + WITHDRAWAL_DELAY);
        vm.expectEmit(address(escrow));
        emit IInferenceEscrow.Withdrawn(client, bob, 9_700 ether);
        escrow.withdraw(bob, false, 300 ether, index, proof);
        assertEq(token.balanceOf(bob), 9_700 ether);
        assertEq(escrow.held(), 0);
        assertEq(escrow.availableOf(client), 0);
        vm.expectRevert(IInferenceEscrow.NoRequest.selector);
        escrow.withdraw(bob, false, 300 ether, index, proof);
    }

    function test_PartOfTheBalanceIsPaidInFull() external {
        _request(10 ether);
        uint256 index = _set(2, client, 300 ether);
        _settle(300 ether);
        skip(WITHDRAWAL_DELAY);
        bytes32[] memory proof = _proof(index);
        vm.prank(client);
        escrow.withdraw(client, false, 300 ether, index, proof);
        assertEq(token.balanceOf(client), 10 ether);
        assertEq(escrow.availableOf(client), 9_690 ether);
    }

    function test_WithdrawalGoesOnInAPause() external {
        _request(10 ether);
        uint256 index = _set(2, client, 300 ether);
        _settle(300 ether);
        skip(WITHDRAWAL_DELAY);
        vm.prank(guardian);
        settlement.pause();
        bytes32[] memory proof = _proof(index);
        vm.prank(client);
        escrow.withdraw(client, false, 300 ether, index, proof);
        assertEq(token.balanceOf(client), 10 ether);
    }

    function test_RevertWhen_NoEpochSinceTheRequest_UntilExit() external {
        uint256 index = _set(2, client, 300 ether);
        _settle(300 ether);
        skip(1);
        _request(10_000 ether - 300 ether);
        uint256 start = block.timestamp;
        bytes32[] memory proof = _proof(index);
        vm.startPrank(client);
        skip(EXIT_DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NoEpochSinceRequest.selector, start + EXIT_DELAY));
        escrow.withdraw(client, false, 300 ether, index, proof);
        skip(1); // the settler stayed silent: the last root counts
        escrow.withdraw(client, false, 300 ether, index, proof);
        assertEq(token.balanceOf(client), 9_700 ether);
    }

    function test_RevertWhen_EpochWasProposedBeforeTheRequest() external {
        uint256 index = _set(2, client, 300 ether);
        (uint64 epoch, bytes32 root) = _propose(300 ether);
        skip(1);
        _request(100 ether);
        uint256 start = block.timestamp;
        skip(WITHDRAWAL_DELAY);
        settlement.activate(epoch, root); // activated later, but it cannot hold later spending
        bytes32[] memory proof = _proof(index);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NoEpochSinceRequest.selector, start + EXIT_DELAY));
        escrow.withdraw(client, false, 300 ether, index, proof);
    }

    function test_RevertWhen_SpendingProofIsWrong() external {
        _request(100 ether);
        uint256 index = _set(2, client, 300 ether);
        uint256 earned = _earned(client, 1 ether);
        _settle(300 ether);
        skip(WITHDRAWAL_DELAY);
        bytes32[] memory proof = _proof(index);
        bytes32[] memory other = _proof(earned);
        vm.startPrank(client);
        vm.expectRevert(IInferenceEscrow.InvalidProof.selector);
        escrow.withdraw(client, false, 299 ether, index, proof);
        vm.expectRevert(IInferenceEscrow.InvalidProof.selector);
        escrow.withdraw(client, false, 1 ether, earned, other); // an earning leaf is not spending
        vm.expectRevert(IInferenceEscrow.ZeroRecipient.selector);
        escrow.withdraw(address(0), false, 300 ether, index, proof);
        vm.expectRevert(IInferenceEscrow.NotNative.selector);
        escrow.withdraw(client, true, 300 ether, index, proof);
    }

    function test_RevertWhen_AllIsSpent() external {
        _deposit(bob, 100 ether);
        vm.prank(bob);
        escrow.requestWithdrawal(100 ether);
        uint256 index = _set(2, bob, 100 ether);
        _settle(100 ether);
        skip(WITHDRAWAL_DELAY);
        bytes32[] memory proof = _proof(index);
        vm.prank(bob);
        vm.expectRevert(IInferenceEscrow.NothingToWithdraw.selector);
        escrow.withdraw(bob, false, 100 ether, index, proof);
    }

    function test_SpendingAboveDepositsLeavesNothing() external {
        _deposit(bob, 100 ether);
        uint256 index = _set(2, bob, 101 ether);
        _settle(101 ether);
        escrow.proveSpent(bob, 101 ether, index, _proof(index));
        assertEq(escrow.availableOf(bob), 0);
    }

    function test_RevertWhen_RequestIsZeroOrTooLarge() external {
        vm.startPrank(client);
        vm.expectRevert(IInferenceEscrow.ZeroAmount.selector);
        escrow.requestWithdrawal(0);
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceEscrow.RequestTooLarge.selector, 10_001 ether, 10_000 ether)
        );
        escrow.requestWithdrawal(10_001 ether);
    }

    function test_LaterRequestStartsTheClockAnew() external {
        _request(5 ether);
        skip(EXIT_DELAY);
        _request(6 ether);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NotReady.selector, block.timestamp + EXIT_DELAY));
        escrow.withdrawUnspent(client, false);
    }

    function test_CancelledRequestPaysNothing() external {
        _request(5 ether);
        vm.startPrank(client);
        vm.expectEmit(address(escrow));
        emit IInferenceEscrow.WithdrawalCancelled(client);
        escrow.cancelWithdrawal();
        vm.expectRevert(IInferenceEscrow.NoRequest.selector);
        escrow.cancelWithdrawal();
        skip(EXIT_DELAY);
        vm.expectRevert(IInferenceEscrow.NoRequest.selector);
        escrow.withdrawUnspent(client, false);
    }

    function test_ClientWhoNeverSpentLeavesAfterExitDelay() external {
        _request(10_000 ether);
        uint256 start = block.timestamp;
        vm.startPrank(client);
        skip(EXIT_DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NotReady.selector, start + EXIT_DELAY));
        escrow.withdrawUnspent(client, false);
        skip(1);
        escrow.withdrawUnspent(client, false);
        assertEq(token.balanceOf(client), 10_000 ether);
    }

    function test_RevertWhen_SpendingWasProvenByTheSettler() external {
        _request(10_000 ether);
        uint256 index = _set(2, client, 300 ether);
        _settle(300 ether);
        bytes32[] memory proof = _proof(index);
        vm.expectEmit(address(escrow));
        emit IInferenceEscrow.SpentProven(client, 300 ether);
        escrow.proveSpent(client, 300 ether, index, proof);
        escrow.proveSpent(client, 300 ether, index, proof); // again: no change
        skip(EXIT_DELAY);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.SpendingKnown.selector, 300 ether));
        escrow.withdrawUnspent(client, false);
        escrow.withdraw(client, false, 300 ether, index, proof);
        assertEq(token.balanceOf(client), 9_700 ether);
    }

    function test_RevertWhen_ThePoolIsShort() external {
        // Debits beyond what clients deposited (a wrong calculator): the last to leave finds the pool short.
        _set(1, alice, 1_000 ether);
        _request(9_500 ether);
        _settle();
        skip(EXIT_DELAY);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.EscrowShort.selector, 9_500 ether, 9_000 ether));
        escrow.withdrawUnspent(client, false);
    }
}

contract InferenceEscrowNativeTest is SettlementFixture {
    function setUp() public override {
        vm.warp(1_700_000_000);
        _build(IERC20(address(new WrappedOpen())), true);
        vm.deal(client, 10 ether);
        vm.prank(client);
        escrow.depositNative{value: 10 ether}(client);
        vm.prank(client);
        escrow.requestWithdrawal(4 ether);
        skip(EXIT_DELAY);
    }

    function test_NativeInAndOut() external {
        assertEq(token.balanceOf(address(escrow)), 10 ether);
        vm.prank(client);
        escrow.withdrawUnspent(bob, true);
        assertEq(bob.balance, 4 ether);
        assertEq(escrow.held(), 6 ether);
    }

    function test_WrapperOut() external {
        vm.prank(client);
        escrow.withdrawUnspent(bob, false);
        assertEq(token.balanceOf(bob), 4 ether);
    }

    function test_RevertWhen_RecipientRefusesTheCoin() external {
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IInferenceEscrow.NativeTransferFailed.selector, address(this)));
        escrow.withdrawUnspent(address(this), true);
    }

    function test_RevertWhen_NativeDepositIsEmpty() external {
        vm.expectRevert(IInferenceEscrow.ZeroAmount.selector);
        escrow.depositNative(client);
    }
}
