// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EpochTree} from "../src/EpochTree.sol";
import {WrappedOpen} from "../src/WrappedOpen.sol";
import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {SettlementFixture} from "./SettlementFixture.sol";
import {TreeKit} from "./TreeKit.sol";

/// @dev A smart account that accepts one digest.
contract SmartAccount {
    bytes32 public accepted;

    function accept(bytes32 digest) external {
        accepted = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == accepted ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

contract SettlementClaimsTest is SettlementFixture {
    uint256 private a;
    uint256 private b;

    function setUp() public override {
        super.setUp();
        a = _earned(alice, 60 ether);
        _set(2, client, 100 ether);
        b = _earned(bob, 40 ether);
        _settle();
    }

    function test_AnyoneClaimsForAnAccount() external {
        vm.expectEmit(address(settlement));
        emit ISettlement.Claimed(alice, alice, 60 ether, 60 ether);
        assertEq(settlement.claim(alice, 60 ether, a, _proof(a)), 60 ether);
        assertEq(token.balanceOf(alice), 60 ether);
        assertEq(settlement.claimedOf(alice), 60 ether);
        address[] memory both = new address[](2);
        (both[0], both[1]) = (bob, alice);
        assertEq(settlement.claimedOfEach(both)[0], 0);
        assertEq(settlement.claimedOfEach(both)[1], 60 ether);
        assertEq(settlement.claimedTotal(), 60 ether);
        _earned(alice, 75 ether);
        _settle();
        assertEq(settlement.claim(alice, 75 ether, a, _proof(a)), 15 ether);
        assertEq(token.balanceOf(alice), 75 ether);
    }

    function test_RevertWhen_ClaimedTwice() external {
        settlement.claim(alice, 60 ether, a, _proof(a));
        bytes32[] memory proof = _proof(a);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingToClaim.selector, alice, 60 ether));
        settlement.claim(alice, 60 ether, a, proof);
    }

    function test_RevertWhen_ProofIsAnothers() external {
        bytes32[] memory proof = _proof(a);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(bob, 60 ether, a, proof);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(alice, 60 ether + 1, a, proof);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(alice, 60 ether, b, proof);
    }

    function test_RevertWhen_SpendingIsClaimedAsEarning() external {
        bytes32[] memory proof = _proof(1);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(client, 100 ether, 1, proof);
    }

    function test_RevertWhen_RootIsReplaced() external {
        bytes32[] memory old = _proof(a);
        _earned(bob, 50 ether);
        _settle();
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(alice, 60 ether, a, old);
    }

    function test_RevertWhen_NoRootYet() external {
        _build(token, false);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claim(alice, 60 ether, 0, new bytes32[](0));
    }

    function test_RevertWhen_RootClaimsMoreThanItsTotal() external {
        // A wrong calculator: leaves add up to more than the total on chain.
        _earned(carol, 30 ether);
        bytes32 previous = settlement.currentRoot();
        bytes32 root = _root();
        vm.prank(settler);
        settlement.propose(2, previous, root, 110 ether, RECEIPTS, DATA, 10 ether);
        skip(WINDOW);
        settlement.activate(2, root);
        _push2(a, b);
        bytes32[] memory proof = _proof(3);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.RootCapExceeded.selector, 130 ether, 110 ether));
        settlement.claim(carol, 30 ether, 3, proof);
    }

    function _push2(uint256 x, uint256 y) private {
        settlement.claim(book[x].account, book[x].amount, x, _proof(x));
        settlement.claim(book[y].account, book[y].amount, y, _proof(y));
    }

    function test_RevertWhen_Paused() external {
        vm.prank(guardian);
        settlement.pause();
        bytes memory paused = abi.encodeWithSelector(ISettlement.IsPaused.selector, block.timestamp + MAX_PAUSE);
        bytes32[] memory proof = _proof(a);
        TreeKit.Batch memory batch = _batchAll();
        vm.expectRevert(paused);
        settlement.claim(alice, 60 ether, a, proof);
        vm.expectRevert(paused);
        settlement.push(batch.plan, batch.hashes, batch.leaves);
        vm.expectRevert(paused);
        vm.prank(alice);
        settlement.claimTo(alice, false, 60 ether, a, proof);
    }

    function test_OutflowIsCappedPerPeriod() external {
        ISettlement.Limits memory limits = _limits();
        limits.outflowCap = 70 ether;
        vm.prank(admin);
        settlement.setLimits(limits);
        vm.warp((block.timestamp / OUTFLOW_PERIOD + 1) * OUTFLOW_PERIOD);
        settlement.claim(alice, 60 ether, a, _proof(a));
        bytes32[] memory proof = _proof(b);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutflowCapExceeded.selector, 40 ether, 10 ether));
        settlement.claim(bob, 40 ether, b, proof);
        skip(OUTFLOW_PERIOD);
        settlement.claim(bob, 40 ether, b, proof);
    }

    function test_LowerOutflowCapHoldsAtOnce() external {
        settlement.claim(alice, 60 ether, a, _proof(a));
        ISettlement.Limits memory limits = _limits();
        limits.outflowCap = 39 ether;
        vm.prank(admin);
        settlement.setLimits(limits);
        bytes32[] memory proof = _proof(b);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutflowCapExceeded.selector, 40 ether, 39 ether));
        settlement.claim(bob, 40 ether, b, proof);
        limits.outflowCap = 100 ether;
        vm.prank(admin);
        settlement.setLimits(limits);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutflowCapExceeded.selector, 40 ether, 39 ether));
        settlement.claim(bob, 40 ether, b, proof);
        skip(OUTFLOW_PERIOD);
        settlement.claim(bob, 40 ether, b, proof);
        assertEq(settlement.outflowLeft(), 60 ether);
    }

    function test_PushReadsShortAmounts() external {
        // 60 and 40 ether fit 9 bytes.
        TreeKit.Batch memory wide = _batchAll();
        bytes memory leaves = bytes.concat(
            bytes20(alice), bytes9(uint72(60 ether)), bytes20(bob), bytes9(uint72(40 ether))
        );
        wide.plan[0] = 0x09;
        (uint256 paid,) = settlement.push(wide.plan, wide.hashes, leaves);
        assertEq(paid, 100 ether);
        assertEq(token.balanceOf(bob), 40 ether);
    }

    function test_NoOutflowCapAtMaximum() external {
        ISettlement.Limits memory limits = _limits();
        limits.outflowCap = type(uint96).max;
        vm.prank(admin);
        settlement.setLimits(limits);
        settlement.claim(alice, 60 ether, a, _proof(a));
        assertEq(settlement.outflowLeft(), type(uint96).max);
    }

    function test_ClaimToChoosesARecipient() external {
        bytes32[] memory proof = _proof(a);
        vm.prank(alice);
        settlement.claimTo(carol, false, 60 ether, a, proof);
        assertEq(token.balanceOf(carol), 60 ether);
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.claimTo(carol, false, 60 ether, a, proof); // the sender is not alice
    }

    function test_RevertWhen_RecipientIsAContractOfOurs() external {
        address[4] memory wrong = [address(0), address(settlement), address(escrow), address(token)];
        bytes32[] memory proof = _proof(a);
        vm.startPrank(alice);
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISettlement.RecipientInvalid.selector, wrong[i]));
            settlement.claimTo(wrong[i], false, 60 ether, a, proof);
            if (i == 0) continue;
            vm.expectRevert(abi.encodeWithSelector(ISettlement.RecipientInvalid.selector, wrong[i]));
            settlement.redirect(wrong[i]);
        }
    }

    function test_RevertWhen_UnwrappingAPlainToken() external {
        bytes32[] memory proof = _proof(a);
        vm.prank(alice);
        vm.expectRevert(ISettlement.NotNative.selector);
        settlement.claimTo(alice, true, 60 ether, a, proof);
        vm.expectRevert(ISettlement.OnlyToken.selector);
        payable(address(settlement)).transfer(0);
    }

    function test_RedirectHoldsForClaimsAndPushes() external {
        vm.expectEmit(address(settlement));
        emit ISettlement.Redirected(alice, carol);
        vm.prank(alice);
        settlement.redirect(carol);
        settlement.claim(alice, 60 ether, a, _proof(a));
        assertEq(token.balanceOf(carol), 60 ether);
        _earned(alice, 61 ether);
        _settle();
        _push(_batchAll());
        assertEq(token.balanceOf(carol), 61 ether);
        vm.prank(alice);
        settlement.redirect(address(0));
        _earned(alice, 63 ether);
        _settle();
        _push(_batchAll());
        assertEq(token.balanceOf(alice), 2 ether);
        assertEq(token.balanceOf(carol), 61 ether);
    }

    function _digest(address account, address to, uint256 nonce, uint256 deadline) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OpenLedger Settlement"),
                keccak256("1"),
                block.chainid,
                address(settlement)
            )
        );
        bytes32 content = keccak256(abi.encode(settlement.REDIRECT_TYPEHASH(), account, to, nonce, deadline));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function _sign(bytes32 digest) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(aliceKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function test_RedirectBySignatureWorksOnce() external {
        uint256 deadline = block.timestamp + 60;
        bytes memory signature = _sign(_digest(alice, carol, 0, deadline));
        settlement.redirectBySignature(alice, carol, deadline, signature);
        assertEq(settlement.recipientOf(alice), carol);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureInvalid.selector, alice));
        settlement.redirectBySignature(alice, carol, deadline, signature);
        settlement.redirectBySignature(alice, bob, deadline, _sign(_digest(alice, bob, 1, deadline)));
        assertEq(settlement.recipientOf(alice), bob);
    }

    function test_RevertWhen_RedirectSignatureIsWrong() external {
        uint256 deadline = block.timestamp + 60;
        bytes memory signature = _sign(_digest(alice, carol, 0, deadline));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureInvalid.selector, alice));
        settlement.redirectBySignature(alice, bob, deadline, signature);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureInvalid.selector, bob));
        settlement.redirectBySignature(bob, carol, deadline, signature);
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureInvalid.selector, alice));
        settlement.redirectBySignature(alice, carol, deadline, signature);
        vm.chainId(chain);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureExpired.selector, deadline));
        settlement.redirectBySignature(alice, carol, deadline, signature);
    }

    function test_SmartAccountRedirectsByErc1271() external {
        SmartAccount account = new SmartAccount();
        uint256 deadline = block.timestamp;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SignatureInvalid.selector, address(account)));
        settlement.redirectBySignature(address(account), carol, deadline, "");
        account.accept(_digest(address(account), carol, 0, deadline));
        settlement.redirectBySignature(address(account), carol, deadline, "");
        assertEq(settlement.recipientOf(address(account)), carol);
    }

    function test_PushPaysAllAndSkipsThePaid() external {
        settlement.claim(alice, 60 ether, a, _proof(a));
        (uint256 paid, uint256 skipped) = _push(_batchAll());
        assertEq(paid, 40 ether);
        assertEq(skipped, 0);
        assertEq(token.balanceOf(bob), 40 ether);
        TreeKit.Batch memory again = _batchAll();
        vm.recordLogs();
        (paid,) = _push(again);
        assertEq(paid, 0, "a resent push pays nothing");
        assertEq(vm.getRecordedLogs().length, 0, "and touches no payee");
        assertEq(settlement.claimedTotal(), 100 ether);
    }

    function test_RevertWhen_PushIsMalformedOrForged() external {
        TreeKit.Batch memory batch = _batchAll();
        vm.expectRevert(EpochTree.MalformedBatch.selector);
        settlement.push(batch.plan, batch.hashes, "");
        vm.expectRevert(EpochTree.MalformedBatch.selector);
        settlement.push(batch.plan, batch.hashes, bytes.concat(batch.leaves, hex"00"));
        batch.leaves[35] ^= 0x01;
        vm.expectRevert(ISettlement.InvalidProof.selector);
        settlement.push(batch.plan, batch.hashes, batch.leaves);
    }

    function test_RevertWhen_PushGetsTooLittleGas() external {
        TreeKit.Batch memory batch = _batchAll();
        vm.expectRevert(ISettlement.TooLittleGas.selector);
        settlement.push{gas: 130_000}(batch.plan, batch.hashes, batch.leaves);
        assertEq(settlement.claimedOf(alice), 0);
    }

    function testFuzz_ClaimsInAnyOrderPayTheLeaf(uint64 first, uint64 second, bool push, uint8 depthIndex) external {
        uint128 start = book[a].amount;
        _earned(alice, start + first);
        _settle();
        if (push) _push(_batchAll());
        else if (depthIndex & 1 == 0) settlement.claim(alice, start + first, a, _proof(a));
        _earned(alice, start + first + second);
        _settle();
        _push(_batchAll());
        assertEq(token.balanceOf(alice), uint256(start) + first + second);
        assertEq(settlement.claimedTotal(), settlement.total());
    }
}

contract SettlementNativeTest is SettlementFixture {
    bool private refuse;

    function setUp() public override {
        (alice, aliceKey) = makeAddrAndKey("alice");
        vm.warp(1_700_000_000);
        _build(IERC20(address(new WrappedOpen())), true);
        vm.deal(address(this), 100 ether);
        escrow.depositNative{value: 50 ether}(client);
        _earned(alice, 5 ether);
        _earned(address(this), 7 ether);
        _settle();
    }

    receive() external payable {
        if (refuse) revert();
    }

    function test_AccountUnwraps() external {
        bytes32[] memory proof = _proof(0);
        vm.prank(alice);
        settlement.claimTo(carol, true, 5 ether, 0, proof);
        assertEq(carol.balance, 5 ether);
        assertEq(token.balanceOf(address(settlement)), 7 ether);
    }

    function test_PushNeverUnwraps() external {
        _push(_batchAll());
        assertEq(token.balanceOf(alice), 5 ether);
        assertEq(alice.balance, 0);
    }

    function test_RevertWhen_RecipientRefusesTheCoin() external {
        refuse = true;
        bytes32[] memory proof = _proof(1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NativeTransferFailed.selector, address(this)));
        settlement.claimTo(address(this), true, 7 ether, 1, proof);
        assertEq(settlement.claimedOf(address(this)), 0);
    }
}
